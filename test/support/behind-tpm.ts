/** A TPM of ours before another one, with sockets where tpm2-tools look for them. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isListening } from './listening.ts'
import {
  type Cleanup,
  REFERENCE_SWTPM,
  type SocketTpm,
  Swtpm,
  startSocketTpm,
  temporaryDirectory,
} from './swtpm.ts'

export interface Front {
  readonly swtpm: Swtpm
  readonly dataPath: string
  /** For tpm2-tools. */
  readonly tcti: string
}

/** @param words what makes it the TPM that it is: `--behind`, `--tpmstate` */
export async function startFront(t: Cleanup, words: readonly string[]): Promise<Front> {
  const dataPath = join(temporaryDirectory(t), 'tpm')
  const controlPath = `${dataPath}.ctrl`
  const swtpm = new Swtpm([
    ...['socket', '--server', `type=unixio,path=${dataPath}`, '--ctrl', `type=unixio,path=${controlPath}`],
    ...words,
  ])
  t.after(() => swtpm.stop('SIGKILL'))
  await swtpm.until(() => isListening(dataPath) && isListening(controlPath), 'it listens')
  return { swtpm, dataPath, tcti: `swtpm:path=${dataPath}` }
}

export const startBehind = (t: Cleanup, behind: string, words: readonly string[] = []): Promise<Front> =>
  startFront(t, ['--tpm2', '--behind', behind, ...words])

/** The C program, that can be asked at once. */
export const startReference = (t: Cleanup, directory?: string): Promise<SocketTpm> =>
  startSocketTpm(t, ['--tpm2', '--flags', 'not-need-init,startup-clear'], {
    program: REFERENCE_SWTPM,
    ...(directory !== undefined && { directory }),
  })

export const NO_REFERENCE_OR_TOOLS =
  existsSync(REFERENCE_SWTPM) && existsSync('/usr/bin/tpm2_getrandom') ? false : 'needs swtpm and tpm2-tools'
