/**
 * The codes of the control channel, in hex as they are on the wire. Written out here and not taken from the contract: tests
 * that use them would not notice a wrong number there.
 * @see swtpm_ioctls(3)
 */
export const CMD = {
  GET_CAPABILITY: '00000001',
  INIT: '00000002',
  SHUTDOWN: '00000003',
  GET_TPMESTABLISHED: '00000004',
  SET_LOCALITY: '00000005',
  HASH_START: '00000006',
  HASH_DATA: '00000007',
  HASH_END: '00000008',
  CANCEL_TPM_CMD: '00000009',
  STORE_VOLATILE: '0000000a',
  RESET_TPMESTABLISHED: '0000000b',
  GET_STATEBLOB: '0000000c',
  SET_STATEBLOB: '0000000d',
  STOP: '0000000e',
  GET_CONFIG: '0000000f',
  SET_DATAFD: '00000010',
  SET_BUFFERSIZE: '00000011',
  GET_INFO: '00000012',
  LOCK_STORAGE: '00000013',
} as const
