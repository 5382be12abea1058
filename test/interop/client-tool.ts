/** Runs the client tools of this tree and Debian's next to them. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { bin } from '../support/swtpm.ts'

export type ToolName = 'swtpm_ioctl' | 'swtpm_bios'

export const ours = (name: ToolName): string => bin(name)
export const debians = (name: ToolName): string => `/usr/bin/${name}`

/** For the `skip` of a test: what to install where Debian's tools are missing. */
export const withoutDebiansTools: string | false =
  existsSync(debians('swtpm_ioctl')) && existsSync(debians('swtpm_bios'))
    ? false
    : 'needs /usr/bin/swtpm_ioctl and /usr/bin/swtpm_bios (Debian: apt install swtpm swtpm-tools)'

export interface ToolRun {
  readonly code: number | NodeJS.Signals
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  /** What it gets on standard input; nothing by default. */
  readonly input?: Buffer | string
  readonly env?: NodeJS.ProcessEnv
}

export function runTool(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<ToolRun> {
  const env: NodeJS.ProcessEnv = { ...process.env, ...options.env }
  const child = spawn(program, args, { env, timeout: 60_000 })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  child.stdin.on('error', () => {})
  child.stdin.end(options.input)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code: code ?? signal!, stdout, stderr }))
  })
}

/** As Debian's tools print it: behind the number of a result ours have its name. */
export function withoutNames(run: ToolRun): ToolRun {
  const plain = (text: string): string =>
    text.replaceAll(/(: 0x[0-9a-f]+|error code 0x[0-9a-f]{8}) \(TPM_\w+\)$/gm, '$1')
  return { ...run, stdout: plain(run.stdout), stderr: plain(run.stderr) }
}
