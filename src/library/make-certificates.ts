/** Makes a TPM with certificates, by swtpm_setup, before it is used. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { SwtpmError } from '../system/errors.ts'
import { installedFile } from '../system/paths.ts'

/** What a directory with a TPM has. */
const STATE_FILES = ['tpm2-00.permall', 'tpm-00.permall']

/** @param state a directory; one that has a TPM stays as it is */
export async function makeCertificates(state: string, version: '2' | '1.2'): Promise<void> {
  if (STATE_FILES.some((name) => existsSync(join(state, name)))) return
  if (!existsSync(state)) await mkdir(state, { mode: 0o700 })
  const words = [
    ...(version === '2' ? ['--tpm2'] : []),
    ...['--tpmstate', state, '--create-ek-cert', '--create-platform-cert', '--quiet'],
  ]
  try {
    const program = installedFile('bin/swtpm_setup', 'npm run build')
    await promisify(execFile)(program, words)
  } catch (error) {
    const { stderr, stdout, message } = error as Error & { stderr?: string; stdout?: string }
    throw new SwtpmError(
      'SWTPM_ERR_STATE_DIR',
      `Cannot make certificates: ${(stderr || stdout || message).trim()}`,
      {
        cause: error,
      },
    )
  }
}
