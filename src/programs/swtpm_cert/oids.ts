/** Object identifiers of the TCG's certificate profiles and of the algorithms that sign them. */

export const OID = {
  // TCG EK Credential Profile and TCG Platform Certificate Profile
  tpmManufacturer: '2.23.133.2.1',
  tpmModel: '2.23.133.2.2',
  tpmVersion: '2.23.133.2.3',
  tpmSpecification: '2.23.133.2.16',
  platformManufacturer12: '2.23.133.2.4',
  platformModel12: '2.23.133.2.5',
  platformVersion12: '2.23.133.2.6',
  platformManufacturer2: '2.23.133.5.1.1',
  platformModel2: '2.23.133.5.1.4',
  platformVersion2: '2.23.133.5.1.5',
  ekCertificate: '2.23.133.8.1',
  platformCertificate: '2.23.133.8.2',
  // TPM 2.0 Keys for Device Identity and Attestation
  hwType: '2.23.133.1.2',
  hardwareModuleName: '1.3.6.1.5.5.7.8.4',
  // signatures
  sha1WithRsa: '1.2.840.113549.1.1.5',
  sha256WithRsa: '1.2.840.113549.1.1.11',
  ecdsaWithSha1: '1.2.840.10045.4.1',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  ecdsaWithSha384: '1.2.840.10045.4.3.3',
  ecdsaWithSha512: '1.2.840.10045.4.3.4',
  ed25519: '1.3.101.112',
  ed448: '1.3.101.113',
} as const
