/** The program by which TPMs are served: this one. */

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { REMEDIES } from '../../../system/missing-things.ts'
import { installedFile } from '../../../system/paths.ts'
import { findProgram } from '../../common/access.ts'
import { ToolFailure } from '../../common/tool-failure.ts'

/** @throws ToolFailure when it is not there */
export function ownSwtpm(): string {
  try {
    return installedFile('bin/swtpm', 'npm run build')
  } catch {
    const found = findProgram('swtpm')
    if (found !== undefined) return found
    throw new ToolFailure('Cannot find the program swtpm: put its directory into PATH')
  }
}

/** What is not in the bundles: ioctl, and what that needs. */
const PACKAGES = ['ioctl', 'bindings', 'file-uri-to-path']

/** What the program consists of, to be copied where the host's files are not seen. */
export function filesOfSwtpm(): string[] {
  const root = dirname(installedFile('package.json', REMEDIES.programs.command))
  const compiled = ['swtpm', 'swtpm_native.node', 'tpm-engine'].map((name) => `native/build/Release/${name}`)
  const packages = PACKAGES.map((name) => `node_modules/${name}`)
  const parts = ['package.json', 'dist', 'node', ...packages, ...compiled].map((part) => join(root, part))
  return [ownSwtpm(), process.execPath, ...parts.filter((path) => existsSync(path))]
}

/** A TPM that this process has started and must end. */
export interface StartedTpm {
  /** Waits for what it says on standard output, such as the name of its device. @returns undefined: it has ended without */
  announced(what: RegExp): Promise<RegExpExecArray | undefined>
  /** Sends SIGTERM, and returns when it has ended. */
  end(): Promise<void>
}

/**
 * Starts swtpm and waits until clients can use it.
 * @param ownSession Ctrl-C at the terminal does not end it
 * @throws ToolFailure with what it said when it ended instead
 */
export function startSwtpm(
  args: readonly string[],
  { ownSession = false }: { readonly ownSession?: boolean } = {},
): Promise<StartedTpm> {
  const child = spawn(ownSwtpm(), [...args, '--ready-fd', '3'], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: ownSession,
  })
  let said = ''
  child.stderr?.on('data', (chunk) => {
    said = (said + chunk).slice(-4096)
  })
  let printed = ''
  let onPrinted = (): void => {}
  child.stdout?.on('data', (chunk) => {
    printed = (printed + chunk).slice(-4096)
    onPrinted()
  })
  const announced = (what: RegExp): Promise<RegExpExecArray | undefined> =>
    new Promise((resolve) => {
      onPrinted = () => {
        const found = what.exec(printed)
        if (found !== null) resolve(found)
      }
      onPrinted()
      child.once('close', () => resolve(undefined))
    })
  const ended = new Promise<void>((resolve) => {
    child.on('close', () => resolve())
  })
  const end = () => {
    child.kill('SIGTERM')
    return ended
  }
  // However this process ends, its TPMs do not stay behind.
  process.on('exit', () => child.kill('SIGTERM'))
  return new Promise((resolve, reject) => {
    child.stdio[3]?.once('data', () => resolve({ announced, end }))
    child.on('error', (cause) => reject(new ToolFailure(`Cannot start swtpm: ${cause.message}`, { cause })))
    child.on('close', () =>
      reject(new ToolFailure(`The TPM has ended: ${withoutPrefix(said) || 'it said nothing'}`)),
    )
  })
}

/** What a swtpm has said, for a message that begins with a name of its own. */
const withoutPrefix = (said: string): string => said.trim().replace(/^swtpm: /gm, '')
