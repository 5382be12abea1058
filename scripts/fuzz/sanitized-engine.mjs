// Engines with sanitizers. The engine's own code is instrumented, libtpms is as it is installed; calls into libc, and what libtpms
// frees, are watched all the same.

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { run } from '../lib/command.mjs'
import { projectRoot } from '../lib/paths.mjs'

const NATIVE = path.join(projectRoot, 'native')
/** Shared with the virtual machine, which writes here, too. */
export const RESULTS = path.join(projectRoot, 'build/fuzz')
/** What the sanitizers have found. */
export const SANITIZER_LOG = path.join(RESULTS, 'sanitizers.log')

const FLAGS = ['-std=c++20', '-g', '-O1', '-fno-omit-frame-pointer', '-pthread']
const LIBRARIES = ['-ltpms', '-lcrypto', '-lseccomp', '-Wl,--wrap=setrlimit']

/** Sanitizers reserve terabytes of address space, of which the engine leaves itself little. */
const UNLIMITED = 'extern "C" int __wrap_setrlimit(unsigned, const void*) { return 0; }\n'

/** The engine that its guest has broken into (test/hard/support/evil-engine.ts). */
const EVIL = {
  source: path.join(projectRoot, 'test/hard/support/evil-engine.cc'),
  flags: ['TPMLIB_Process', 'sendmsg', 'recvmsg', 'mmap64', 'syscall'].map((name) => `-Wl,--wrap=${name}`),
}

/**
 * What is watched for. Signals stay what they are, so that it shows when libtpms dies. ThreadSanitizer of the gcc that Debian 12 has
 * cannot begin at the addresses that newer kernels choose at random: personality(2), which setarch calls, puts them aside, and what
 * starts engines has to let it pass.
 */
const KINDS = {
  address: {
    flags: ['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'],
    start:
      'ASAN_OPTIONS=detect_leaks=0:abort_on_error=0:handle_segv=0:handle_sigbus=0:handle_sigfpe=0 ' +
      'UBSAN_OPTIONS=print_stacktrace=1 exec',
  },
  thread: {
    flags: ['-fsanitize=thread'],
    start: 'TSAN_OPTIONS=handle_segv=0:handle_sigbus=0:handle_sigfpe=0:exitcode=0 exec setarch -R',
  },
}

/** @typedef {keyof typeof KINDS} Sanitizer */

/**
 * @param {Sanitizer} kind
 * @param {(line: string) => void} progress
 * @returns {Promise<Record<string, string>>} the environment of fuzzers, which names them
 */
export async function sanitizedEngines(kind, progress) {
  mkdirSync(RESULTS, { recursive: true })
  const unlimited = path.join(RESULTS, 'unlimited.cc')
  writeFileSync(unlimited, UNLIMITED)
  const sources = ['engine', 'state', 'common'].flatMap((folder) =>
    readdirSync(path.join(NATIVE, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.cc'))
      .map((name) => path.join(folder, name)),
  )
  const { flags, start } = KINDS[kind]
  /** @param {string} name @param {string[]} more @returns {Promise<string>} what SWTPM_ENGINE is to name */
  const build = async (name, more) => {
    const engine = path.join(RESULTS, name)
    await run(
      'g++',
      [...FLAGS, ...flags, '-I.', ...sources, unlimited, ...more, '-o', engine, ...LIBRARIES],
      {
        cwd: NATIVE,
        onLine: progress,
      },
    )
    // The sanitizers need system calls that the engine does not, an environment, and a place for what they say.
    const script = `${engine}.sh`
    writeFileSync(script, `#!/bin/sh\n${start} ${engine} "$@" --seccomp none 2>>${SANITIZER_LOG}\n`, {
      mode: 0o755,
    })
    return script
  }
  return {
    // Engines that are forked have no script before them.
    SWTPM_TEST_SECCOMP: 'none',
    SWTPM_ENGINE: await build('tpm-engine', []),
    SWTPM_EVIL_ENGINE: await build('evil-engine', [EVIL.source, ...EVIL.flags]),
  }
}
