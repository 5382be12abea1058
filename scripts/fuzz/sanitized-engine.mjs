// An engine with AddressSanitizer and UndefinedBehaviorSanitizer. The engine's own code is instrumented, libtpms is as it
// is installed; calls into libc, and what libtpms frees, are watched all the same.

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { run } from '../lib/command.mjs'
import { projectRoot } from '../lib/paths.mjs'

const NATIVE = path.join(projectRoot, 'native')
/** Shared with the virtual machine, which writes here, too. */
export const RESULTS = path.join(projectRoot, 'build/fuzz')
/** What the sanitizers have found. */
export const SANITIZER_LOG = path.join(RESULTS, 'sanitizers.log')

const FLAGS = [
  ...['-std=c++20', '-g', '-O1', '-fno-omit-frame-pointer', '-pthread'],
  ...['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'],
]

const LIBRARIES = ['-ltpms', '-lcrypto', '-lseccomp', '-Wl,--wrap=setrlimit']

/** AddressSanitizer reserves terabytes of address space, of which the engine leaves itself little. */
const UNLIMITED = 'extern "C" int __wrap_setrlimit(unsigned, const void*) { return 0; }\n'

/**
 * @param {(line: string) => void} progress
 * @returns {Promise<string>} what SWTPM_ENGINE is to name
 */
export async function sanitizedEngine(progress) {
  mkdirSync(RESULTS, { recursive: true })
  const engine = path.join(RESULTS, 'tpm-engine')
  const sources = ['engine', 'state', 'common'].flatMap((folder) =>
    readdirSync(path.join(NATIVE, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.cc'))
      .map((name) => path.join(folder, name)),
  )
  const unlimited = path.join(RESULTS, 'unlimited.cc')
  writeFileSync(unlimited, UNLIMITED)
  await run('g++', [...FLAGS, '-I.', ...sources, unlimited, '-o', engine, ...LIBRARIES], {
    cwd: NATIVE,
    onLine: progress,
  })
  // The sanitizers need system calls that the engine does not, an environment, and a place for what they say. Signals
  // stay what they are, so that it shows when libtpms dies.
  const start = path.join(RESULTS, 'start')
  const options = 'detect_leaks=0:abort_on_error=0:handle_segv=0:handle_sigbus=0:handle_sigfpe=0'
  writeFileSync(
    start,
    `#!/bin/sh
ASAN_OPTIONS=${options} UBSAN_OPTIONS=print_stacktrace=1 exec ${engine} "$@" --seccomp none 2>>${SANITIZER_LOG}
`,
    { mode: 0o755 },
  )
  return start
}
