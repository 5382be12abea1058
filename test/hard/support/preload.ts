/** Programs with a library of ours preloaded, which meddles with their calls of the C library. */
import { execFileSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot, temporaryDirectory } from '../../support/swtpm.ts'

const libraries = new Map<string, string>()

/**
 * @param directory for the program
 * @param source name of a C file here
 * @param environment for the library
 * @returns a program to be started in place of tpm-engine; see SWTPM_ENGINE
 */
export function engineWith(
  directory: string,
  source: string,
  environment: Readonly<Record<string, string>> = {},
): string {
  const library = preloadLibrary(source)
  const real = process.env.SWTPM_ENGINE || join(projectRoot, 'native/build/Release/tpm-engine')
  const settings = Object.entries({ ...environment, LD_PRELOAD: library }).map(([k, v]) => `${k}='${v}'`)
  const program = join(directory, 'engine')
  writeFileSync(program, `#!/bin/sh\n${settings.join(' ')} exec '${real}' "$@"\n`)
  chmodSync(program, 0o755)
  return program
}

/** What kills a Node.js program at one of the calls with which it changes files; see kill-shim.c. */
export const killLibrary = (): string => preloadLibrary('kill-shim.c')

/** @param source name of a C file here @returns path of the library for LD_PRELOAD */
export function preloadLibrary(source: string): string {
  const library = libraries.get(source) ?? compile(source)
  libraries.set(source, library)
  return library
}

/** Once for the whole test file, which the process's end removes. */
function compile(source: string): string {
  const directory = temporaryDirectory({ after: (undo) => void process.on('exit', () => undo()) })
  chmodSync(directory, 0o755)
  const target = join(directory, source.replace(/c$/, 'so'))
  execFileSync('cc', [
    ...['-shared', '-fPIC', '-O2', '-o', target],
    join(projectRoot, 'test/hard/support', source),
    '-ldl',
  ])
  return target
}
