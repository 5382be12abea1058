/**
 * The TPM commands that a BIOS sends, as bytes.
 * @see TPM 1.2 Part 3: 5 "Admin Startup and State", 6.2 "TPM_ContinueSelfTest", 7.1 "TPM_GetCapability",
 * 6 "Admin Opt-in"; TPM 2.0 Part 3: 10.3 TPM2_IncrementalSelfTest, 24.8 TPM2_HierarchyChangeAuth
 */
import { BIG, packed, type Struct, u8, u16, u32, type ValueOf } from '../../../contract/struct.ts'
import { TPM_ST_NO_SESSIONS, TPM_TAG_RQU_COMMAND, tpmHeader } from '../../tpm-commands/tpm-header.ts'

const TPM_ORD_CONTINUE_SELF_TEST = 0x53
const TPM_ORD_GET_CAPABILITY = 0x65
const TPM_ORD_PHYSICAL_ENABLE = 0x6f
const TPM_ORD_PHYSICAL_SET_DEACTIVATED = 0x72
const TSC_ORD_PHYSICAL_PRESENCE = 0x4000000a

const TPM_CAP_FLAG = 4
const TPM_CAP_FLAG_PERMANENT = 0x108

export const TPM_PHYSICAL_PRESENCE_LOCK = 0x04
export const TPM_PHYSICAL_PRESENCE_PRESENT = 0x08
export const TPM_PHYSICAL_PRESENCE_NOTPRESENT = 0x10
export const TPM_PHYSICAL_PRESENCE_CMD_ENABLE = 0x20

const TPM_ST_SESSIONS = 0x8002
const TPM_CC_HIERARCHY_CHANGE_AUTH = 0x129
const TPM_CC_INCREMENTAL_SELF_TEST = 0x142
const TPM_ALG_SHA256 = 0x0b
const TPM_RS_PW = 0x40000009
const TPM_RH_PLATFORM = 0x4000000c

function command(tag: number, code: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const header = tpmHeader.encode({ tag, size: tpmHeader.size + body.length, code }, BIG)
  return Buffer.concat([header, body])
}

const presence = packed({ physicalPresence: u16 })
const subCapability = packed({ capability: u32, subSize: u32, sub: u32 })
const algorithmList = packed({ count: u32, algorithm: u16 })
/** Handle, an authorisation area with an empty password, and the size of the new password. */
const changeAuth = packed({
  handle: u32,
  areaSize: u32,
  session: u32,
  nonceSize: u16,
  attributes: u8,
  passwordSize: u16,
  newSize: u16,
})
/** A session's handle, nonce size, attributes and password size. */
const EMPTY_PASSWORD_AREA_SIZE = 9
const CONTINUE_SESSION = 1

// biome-ignore lint/suspicious/noExplicitAny: any structure, whatever its fields
const big = <S extends Struct<any>>(structure: S, value: ValueOf<S>): Buffer => structure.encode(value, BIG)

export const physicalPresence = (flags: number): Buffer =>
  command(TPM_TAG_RQU_COMMAND, TSC_ORD_PHYSICAL_PRESENCE, big(presence, { physicalPresence: flags }))

export const getPermanentFlags = (): Buffer =>
  command(
    TPM_TAG_RQU_COMMAND,
    TPM_ORD_GET_CAPABILITY,
    big(subCapability, { capability: TPM_CAP_FLAG, subSize: 4, sub: TPM_CAP_FLAG_PERMANENT }),
  )

/** Whether the answer to {@link getPermanentFlags} says that the TPM is deactivated. @see TPM 1.2 Part 2, 7.1 */
export function isDeactivated(response: Buffer): boolean {
  // header, size, tag of TPM_PERMANENT_FLAGS, then one byte for each flag: disable, ownership, deactivated
  const deactivated = tpmHeader.size + u32.size + u16.size + 2
  return (response[deactivated] ?? 0) !== 0
}

export const physicalEnable = (): Buffer => command(TPM_TAG_RQU_COMMAND, TPM_ORD_PHYSICAL_ENABLE)

export const physicalSetDeactivated = (deactivated: boolean): Buffer =>
  command(TPM_TAG_RQU_COMMAND, TPM_ORD_PHYSICAL_SET_DEACTIVATED, Buffer.of(deactivated ? 1 : 0))

export const continueSelfTest = (): Buffer => command(TPM_TAG_RQU_COMMAND, TPM_ORD_CONTINUE_SELF_TEST)

export const incrementalSelfTest = (): Buffer =>
  command(
    TPM_ST_NO_SESSIONS,
    TPM_CC_INCREMENTAL_SELF_TEST,
    big(algorithmList, { count: 1, algorithm: TPM_ALG_SHA256 }),
  )

/** Gives the platform hierarchy a password instead of its empty one. */
export const setPlatformPassword = (password: Buffer): Buffer =>
  command(
    TPM_ST_SESSIONS,
    TPM_CC_HIERARCHY_CHANGE_AUTH,
    Buffer.concat([
      big(changeAuth, {
        handle: TPM_RH_PLATFORM,
        areaSize: EMPTY_PASSWORD_AREA_SIZE,
        session: TPM_RS_PW,
        nonceSize: 0,
        attributes: CONTINUE_SESSION,
        passwordSize: 0,
        newSize: password.length,
      }),
      password,
    ]),
  )
