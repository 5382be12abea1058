/** Every way to give a state key, for tests of both directions. */
import { randomBytes } from 'node:crypto'
import { openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { passphraseKey } from '../support/state-blob.ts'

export interface KeyForm {
  readonly name: string
  readonly bits: 128 | 256
  readonly kind: 'binary' | 'hex' | 'pbkdf2' | 'sha512'
}

export const keyForms: readonly KeyForm[] = ([128, 256] as const).flatMap((bits) =>
  (['binary', 'hex', 'pbkdf2', 'sha512'] as const).map((kind) => ({
    name: `${kind} ${kind === 'binary' || kind === 'hex' ? 'key' : 'passphrase'}, aes-${bits}-cbc`,
    bits,
    kind,
  })),
)

export interface Key {
  /** The AES key that it comes to. */
  readonly bytes: Buffer
  /** The option's value with the key in a file. */
  readonly byFile: string
  /** The same with the key in a descriptor: number `fd`, opened anew by {@link open}. */
  byFd(fd: number): string
  open(): number
}

/** A new key of this form, its file in `directory`. */
export function makeKey({ bits, kind }: KeyForm, directory: string, name: string): Key {
  const path = join(directory, name)
  const mode = `mode=aes-${bits}-cbc`
  const open = (): number => openSync(path, 'r')
  if (kind === 'binary' || kind === 'hex') {
    const bytes = randomBytes(bits / 8)
    writeFileSync(path, kind === 'binary' ? bytes : bytes.toString('hex'))
    const rest = `format=${kind},${mode}`
    return { bytes, byFile: `file=${path},${rest}`, byFd: (fd) => `fd=${fd},${rest}`, open }
  }
  // The newline belongs to the passphrase.
  const passphrase = `${randomBytes(9).toString('base64')}\n`
  writeFileSync(path, passphrase)
  const bytes = passphraseKey(passphrase, kind, bits / 8)
  const rest = `${mode},kdf=${kind}`
  return { bytes, byFile: `pwdfile=${path},${rest}`, byFd: (fd) => `pwdfd=${fd},${rest}`, open }
}
