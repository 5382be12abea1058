/** With which key the state is encrypted: the options of swtpm that say so. */

import { constants } from 'node:fs'
import { choiceHint } from '../../system/did-you-mean.ts'
import { currentUserName, refusal } from '../common/access.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import { openDescriptor } from './open-descriptor.ts'
import type { SetupOptions } from './setup-options.ts'
import type { PassedFd } from './tpm-process.ts'

export interface StateEncryption {
  readonly args: readonly string[]
  readonly passedFds: readonly PassedFd[]
  readonly message: string
}

const CIPHERS = ['aes-128-cbc', 'aes-cbc', 'aes-256-cbc']

/** @throws ToolFailure for a cipher that there is not, or a key that cannot be read */
export function stateEncryption(options: SetupOptions): StateEncryption | undefined {
  const cipher = options.text('cipher') ?? 'aes-128-cbc'
  if (!CIPHERS.includes(cipher)) {
    throw new ToolFailure(
      `Unsupported cipher ${cipher}; use ${CIPHERS.join(', ')}${choiceHint(cipher, CIPHERS)}`,
    )
  }
  const [keyFile, passwordFile] = [options.text('keyfile'), options.text('pwdfile')]
  const byKey = "The TPM's state will be encrypted with a provided key"
  const byPassword = "The TPM's state will be encrypted using a key derived from a passphrase"
  if (keyFile !== undefined) {
    needReadable(keyFile, 'keyfile')
    return { args: ['--key', `file=${keyFile},mode=${cipher}`], passedFds: [], message: `  ${byKey}.` }
  }
  if (passwordFile !== undefined) {
    needReadable(passwordFile, 'passphrase file')
    return {
      args: ['--key', `pwdfile=${passwordFile},mode=${cipher}`],
      passedFds: [],
      message: `  ${byPassword}.`,
    }
  }
  for (const [name, subOption, message] of [
    ['keyfile-fd', 'fd', byKey],
    ['pwdfile-fd', 'pwdfd', byPassword],
  ] as const) {
    const text = options.text(name)
    if (text === undefined) continue
    const option = (number: number): string[] => ['--key', `${subOption}=${number},mode=${cipher}`]
    return {
      args: [],
      passedFds: [{ fd: openDescriptor(name, text), option }],
      message: `  ${message} (fd).`,
    }
  }
  return undefined
}

function needReadable(path: string, what: string): void {
  const reason = refusal(path, constants.R_OK)
  if (reason !== undefined)
    throw new ToolFailure(`User ${currentUserName()} cannot read ${what} ${path}: ${reason}`)
}
