/** Where a certificate goes. */
import { lstatSync, readFileSync, statSync } from 'node:fs'
import { reasonOf } from '../../system/reason.ts'
import { writeFileAtomic } from '../common/atomic-file.ts'
import { printOut } from '../common/output.ts'
import { ToolFailure } from '../common/tool-failure.ts'

/**
 * Replaces an earlier certificate of that name, but neither a private key nor one of the files that the certificate is made of.
 * @throws ToolFailure
 */
export function writeCertificate(
  path: string | undefined,
  bytes: Buffer,
  inputs: readonly (string | undefined)[] = [],
): void {
  if (path === undefined) {
    printOut(bytes)
    return
  }
  const problem = (reason: string, cause?: unknown): ToolFailure =>
    new ToolFailure(`Cannot write the certificate to "${path}": ${reason}`, { cause })
  const wrongPlace = inputs.some((input) => input !== undefined && isSameFile(input, path))
    ? 'the certificate is made from this file'
    : holdsPrivateKey(path)
      ? 'it holds a private key'
      : undefined
  if (wrongPlace !== undefined) throw problem(`${wrongPlace}; choose another name`)
  try {
    writeFileAtomic(path, bytes, 0o600)
  } catch (error) {
    throw problem(reasonOf(error), error)
  }
}

function isSameFile(one: string, other: string): boolean {
  try {
    const [a, b] = [statSync(one), statSync(other)]
    return a.isFile() && a.dev === b.dev && a.ino === b.ino
  } catch {
    return false
  }
}

/** Far more than a key has in PEM. */
const MAX_KEY_BYTES = 1 << 20

function holdsPrivateKey(path: string): boolean {
  try {
    const stat = lstatSync(path)
    if (!stat.isFile() || stat.size > MAX_KEY_BYTES) return false
    return readFileSync(path, 'latin1').includes('PRIVATE KEY-----')
  } catch {
    return false // nothing that could be replaced, or whose replacement fails by itself
  }
}
