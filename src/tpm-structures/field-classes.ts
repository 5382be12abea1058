/**
 * What can be expected of a field when the same command is sent to another TPM, or to the same one once more. The rows of
 * command-rows.ts, tpm12-rows.ts and structures.ts say what there is; here is what it is, by the names that stand there.
 *
 *     fixed    the same bytes
 *     handle   another number for the same thing
 *     random   other bytes, as many
 *     keyed    other bytes, as many: they depend on keys of the TPM
 *     time     another number: clocks, and counters that count what has been before
 *     secret   the same bytes, and never shown
 */
import { type FieldNode, isSecret } from './fields.ts'

export type FieldClass = 'fixed' | 'handle' | 'random' | 'keyed' | 'time' | 'secret'

/** A field of this name, and what is in it: `Command.field`, or `field` in any command. The innermost name that is here decides. */
const RESPONSE_CLASSES: Readonly<Record<string, FieldClass>> = {
  // Made by the random number generator
  ...each('random', 'randomBytes nonceTPM nonce encryptionKeyOut outSymSeed RSA_Encrypt.outData'),
  ...each('random', 'ECC_Encrypt.C1 ECC_Encrypt.C2 ECC_Encrypt.C3 ECDH_KeyGen.zPoint ECDH_KeyGen.pubPoint'),
  ...each(
    'random',
    'Commit.K Commit.L Commit.E EC_Ephemeral.Q MakeCredential.credentialBlob MakeCredential.secret',
  ),
  // What follows from a key or a secret of the TPM
  ...each(
    'keyed',
    'unique name qualifiedName qualifiedSigner parentName parentQualifiedName objectName creationHash',
  ),
  ...each(
    'keyed',
    'outPrivate duplicate outDuplicate contextBlob creationTicket validation policyTicket signature',
  ),
  ...each(
    'keyed',
    'outHMAC hmac outPoint outZ1 outZ2 auditDigest sessionDigest addedToCertificate tbsDigest',
  ),
  ...each(
    'keyed',
    'EncryptDecrypt.outData EncryptDecrypt.ivOut EncryptDecrypt2.outData EncryptDecrypt2.ivOut',
  ),
  ...each(
    'time',
    'clockInfo currentTime time timeout pcrUpdateCounter firmwareVersion auditCounter sequence',
  ),
  ...each('time', 'Commit.counter EC_Ephemeral.counter'),
  ...each('handle', 'savedHandle'),
  // TPM 1.2
  ...each('random', 'nonceEven nonceEvenOSAP nonceEvenDSAP transNonce saltNonce tickNonce'),
  ...each(
    'keyed',
    'sig pubKey pubEndorsementKey checksum srkPub wrappedKey sealedData idKey identityBinding',
  ),
  ...each(
    'keyed',
    'keyContextBlob authContextBlob contextBlob sigTicket publicPortion Quote.pcrData CertifyKey.outData',
  ),
  ...each('time', 'currentTicks IncrementCounter.count ReadCounter.counterValue CreateCounter.counterValue'),
}

/** Of commands: what a client makes up anew each time. */
const COMMAND_CLASSES: Readonly<Record<string, FieldClass>> = each(
  'random',
  'nonceCaller encryptedSalt qualifyingData StirRandom.inData nonceOdd nonceOddOSAP nonceOddDSAP antiReplay externalData',
)

function each(what: FieldClass, names: string): Record<string, FieldClass> {
  return Object.fromEntries(names.split(' ').map((name) => [name, what]))
}

/** @param command its name, without TPM2_ */
export function fieldClass(command: string, kind: 'command' | 'response', field: FieldNode): FieldClass {
  const classes = kind === 'response' ? RESPONSE_CLASSES : COMMAND_CLASSES
  for (let one: FieldNode | undefined = field; one !== undefined; one = one.parent) {
    const found = classes[`${command}.${one.name}`] ?? classes[one.name]
    if (found !== undefined) return found
  }
  if (field.enciphered) return 'keyed'
  return isSecret(field) ? 'secret' : 'fixed'
}
