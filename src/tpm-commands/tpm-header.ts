/**
 * The ten bytes before every TPM command and response, and the few commands that the supervisor sends itself.
 * @see TPM 2.0 Part 1, 18 "Command/response structure"; TPM 1.2 Part 3, 5 and 7
 */
import type { TpmVersion } from '../../contract/engine-options.ts'
import { BIG, packed, u16, u32 } from '../../contract/struct.ts'

/** How a TPM is told to start: from a clear state, from the saved one, or (TPM 1.2) deactivated. */
export type StartupType = 'clear' | 'state' | 'deactivated'

/** `code` is the ordinal (1.2) or command code (2.0) of a command, the response code of a response. */
export const tpmHeader = packed({ tag: u16, size: u32, code: u32 })

export const TPM_TAG_RQU_COMMAND = 0x00c1
export const TPM_TAG_RSP_COMMAND = 0x00c4
export const TPM_ST_NO_SESSIONS = 0x8001
export const TPM_ORD_STARTUP = 0x99
export const TPM_CC_STARTUP = 0x144

const startup = packed({ tag: u16, size: u32, code: u32, startupType: u16 })

/**
 * TPM_Startup or TPM2_Startup.
 * @throws RangeError for `deactivated` on a TPM 2.0, which has no such start.
 */
export function startupCommand(version: TpmVersion, type: StartupType): Buffer {
  if (version === '2') {
    if (type === 'deactivated') throw new RangeError('a TPM 2.0 has no startup-deactivated')
    const startupType = type === 'clear' ? 0 : 1
    return startup.encode(
      { tag: TPM_ST_NO_SESSIONS, size: startup.size, code: TPM_CC_STARTUP, startupType },
      BIG,
    )
  }
  const startupType = { clear: 1, state: 2, deactivated: 3 }[type]
  return startup.encode(
    { tag: TPM_TAG_RQU_COMMAND, size: startup.size, code: TPM_ORD_STARTUP, startupType },
    BIG,
  )
}

/** TPM2_SelfTest of what is not tested yet, or TPM_ContinueSelfTest, which is the same. */
export const selfTestCommand = (version: TpmVersion): Buffer =>
  Buffer.from(version === '2' ? '80010000000b0000014300' : '00c10000000a00000053', 'hex')

/** The response code of a response, or undefined when it is too short to be one. */
export function responseCode(response: Uint8Array): number | undefined {
  return response.length < tpmHeader.size ? undefined : tpmHeader.decode(response, BIG).code
}
