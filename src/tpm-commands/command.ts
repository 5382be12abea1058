/**
 * Builds TPM commands of both versions, and reads the header of responses.
 * @see TPM 2.0 Part 1, 18 "Command/response structure"; TPM 1.2 Part 3
 */
import { BIG, u32 as long, packed, u16 as word } from '../../contract/struct.ts'
import {
  TPM_HANDLES,
  TPM_ST_NO_SESSIONS,
  TPM_ST_SESSIONS,
  TPM_TAG_RQU_COMMAND,
} from '../tpm-structures/codes.ts'
import { ByteReader, concat, sized16, sized32, u8, u32 } from './bytes.ts'

/**
 * The ten bytes before every TPM command and response. `size` counts them, too; `code` is the ordinal (1.2) or command code
 * (2.0) of a command, the response code of a response.
 */
export const tpmHeader = packed({ tag: word, size: long, code: long })

function command(tag: number, code: number, parts: readonly Uint8Array[]): Buffer {
  const body = concat(...parts)
  return concat(tpmHeader.encode({ tag, size: tpmHeader.size + body.length, code }, BIG), body)
}

/** A TPM 1.2 command without authorization. */
export const tpm12Command = (ordinal: number, ...parameters: readonly Uint8Array[]): Buffer =>
  command(TPM_TAG_RQU_COMMAND, ordinal, parameters)

/** A TPM 1.2 command whose parameters end with authorization data. @param tag TPM_TAG_RQU_AUTH… */
export const tpm12Authorized = (tag: number, ordinal: number, ...parameters: readonly Uint8Array[]): Buffer =>
  command(tag, ordinal, parameters)

/** A TPM 2.0 command without sessions. */
export const tpm2Command = (code: number, ...parameters: readonly Uint8Array[]): Buffer =>
  command(TPM_ST_NO_SESSIONS, code, parameters)

const CONTINUE_SESSION = 1

/** An authorization area with one password session, whose password is empty. */
const emptyPassword = (attributes: number): Buffer =>
  sized32(u32(TPM_HANDLES.PW), sized16(), u8(attributes), sized16())

/** As a BIOS sends it. A password session has no end, so the attribute changes nothing. */
export const emptyPasswordContinued = (): Buffer => emptyPassword(CONTINUE_SESSION)

/** A TPM 2.0 command whose first handle is authorized by an empty password. */
export const tpm2Authorized = (
  code: number,
  handles: readonly number[],
  parameters: readonly Uint8Array[] = [],
  area = emptyPassword(0),
): Buffer => command(TPM_ST_SESSIONS, code, [...handles.map(u32), area, ...parameters])

/** The response code of a response, or undefined when it is too short to be one. */
export function responseCode(response: Uint8Array): number | undefined {
  return response.length < tpmHeader.size ? undefined : tpmHeader.decode(response, BIG).code
}

/** What follows the header of a response. */
export const parametersOf = (response: Buffer): ByteReader =>
  new ByteReader(response.subarray(tpmHeader.size))
