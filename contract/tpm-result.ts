/**
 * Result codes that the PTM verbs and the TPM itself answer with. They are values, never exceptions.
 * @see TPM 1.2 Part 2, 16 "Return codes"; TPM 2.0 Part 2, 6.6 "TPM_RC"
 */
export const TPM_SUCCESS = 0
export const TPM_BAD_PARAMETER = 0x03
export const TPM_FAIL = 0x09
export const TPM_BAD_ORDINAL = 0x0a
export const TPM_KEY_NOT_FOUND = 0x0d
export const TPM_SIZE = 0x17
export const TPM_BAD_PARAM_SIZE = 0x19
/** TPM 1.2: the TPM is in failure mode. */
export const TPM_FAILED_SELF_TEST = 0x1c
export const TPM_IOERROR = 0x1f
export const TPM_ENCRYPT_ERROR = 0x20
export const TPM_DECRYPT_ERROR = 0x21
/** TPM 1.2: Startup was sent to a TPM that has been started. */
export const TPM_INVALID_POSTINIT = 0x26
export const TPM_BAD_KEY_PROPERTY = 0x28
export const TPM_BAD_DATASIZE = 0x2b
export const TPM_BAD_VERSION = 0x2e
export const TPM_BAD_LOCALITY = 0x3d
/** libtpms: "try again later"; here also "there is no such state". */
export const TPM_RETRY = 0x800

export const TPM_RC_INSUFFICIENT = 0x9a
/** TPM 2.0: the TPM has not been started up, or has been already. */
export const TPM_RC_INITIALIZE = 0x100
export const TPM_RC_FAILURE = 0x101
export const TPM_RC_LOCALITY = 0x107
export const TPM_RC_COMMAND_SIZE = 0x142
export const TPM_RC_CANCELED = 0x909
export const TPM_RC_NV_UNAVAILABLE = 0x923
