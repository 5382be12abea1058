/** HMACs of sessions without a key of their own. @see TPM 2.0 Part 1, 19.6 */
import { createHash, createHmac } from 'node:crypto'
import type { DecodedCommand } from '../../tpm-structures/decode-command.ts'

const DECRYPT = 0x20
const ENCRYPT = 0x40

/** A session as it is when a command is sent. */
export interface SessionNow {
  readonly hash: string
  readonly nonce: Buffer
}

/**
 * @param index of the session for which the HMAC is
 * @param names of the handles
 * @param sessions in the order of the command; undefined for a password
 * @param key what is known to both sides: the authorization value
 */
export function commandHmac(
  command: DecodedCommand,
  index: number,
  names: readonly Buffer[],
  sessions: readonly (SessionNow | undefined)[],
  key: Buffer,
): Buffer {
  const { hash, nonce } = sessions[index] as SessionNow
  const said = command.sessions[index] as DecodedCommand['sessions'][number]
  const code = Buffer.alloc(4)
  code.writeUInt32BE(command.code)
  const cpHash = createHash(hash)
    .update(Buffer.concat([code, ...names, parametersOf(command)]))
    .digest()
  return createHmac(hash, withoutTrailingZeros(key))
    .update(
      Buffer.concat([
        ...[cpHash, said.nonce, nonce],
        ...(index === 0 ? noncesOfOthers(command, sessions) : []),
        Buffer.from([said.attributes & 0xff]),
      ]),
    )
    .digest()
}

/** The first session says which sessions encipher. */
function noncesOfOthers(command: DecodedCommand, sessions: readonly (SessionNow | undefined)[]): Buffer[] {
  const withFlag = (flag: number) => command.sessions.findIndex(({ attributes }) => (attributes & flag) !== 0)
  const [decrypt, encrypt] = [withFlag(DECRYPT), withFlag(ENCRYPT)]
  const found = decrypt > 0 ? [decrypt] : []
  if (encrypt > 0 && encrypt !== decrypt) found.push(encrypt)
  return found.map((index) => sessions[index]?.nonce ?? Buffer.alloc(0))
}

export const enciphersCommand = ({ sessions }: DecodedCommand): boolean =>
  sessions.some(({ attributes }) => (attributes & DECRYPT) !== 0)

/** The bytes behind the authorizations. */
function parametersOf(command: DecodedCommand): Buffer {
  const [first] = command.parameterFields
  return first === undefined ? Buffer.alloc(0) : command.bytes.subarray(first.offset)
}

function withoutTrailingZeros(value: Buffer): Buffer {
  let end = value.length
  while (end > 0 && value[end - 1] === 0) end--
  return value.subarray(0, end)
}
