/** TCG_PCCLIENT_STORED_CERT and its tag, before a certificate in a TPM 1.2's NVRAM. */
export const STORED_CERT_HEADER_BYTES = 7
