/** Real clients: runs a program and fails with what it said. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** @returns stdout. @throws with stderr when the exit code is not 0 */
export async function tool(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<string> {
  const { stdout } = await run(program, [...args], { env: { ...process.env, ...env }, maxBuffer: 1 << 24 })
  return stdout
}

/** tpm2-tools on a device or socket: `tpm2(tcti)('getrandom', '--hex', '8')`. */
export const tpm2Tools =
  (tcti: string) =>
  (command: string, ...args: string[]): Promise<string> =>
    tool(`tpm2_${command}`, args, { TPM2TOOLS_TCTI: tcti })
