/**
 * Result codes that the PTM verbs and the TPM itself answer with. They are values, never exceptions.
 * @see TPM 1.2 Part 2, 16 "Return codes"; TPM 2.0 Part 2, 6.6 "TPM_RC"
 */
export const TPM_SUCCESS = 0
export const TPM_BAD_PARAMETER = 0x03
export const TPM_FAIL = 0x09
export const TPM_BAD_ORDINAL = 0x0a
export const TPM_SIZE = 0x17
export const TPM_IOERROR = 0x1f
export const TPM_BAD_LOCALITY = 0x3d
/** libtpms: "try again later"; here also "there is no such state yet". */
export const TPM_RETRY = 0x800

/** TPM 2.0: the TPM has not been started up. */
export const TPM_RC_INITIALIZE = 0x100
export const TPM_RC_FAILURE = 0x101
export const TPM_RC_CANCELED = 0x909
/** TPM 1.2: Startup was sent to a TPM that has been started. */
export const TPM_INVALID_POSTINIT = 0x26
