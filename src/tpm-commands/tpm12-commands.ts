/** The TPM 1.2 commands of a setup, as bytes, and what matters of their responses. @see TPM Main Part 3 */
import { constants, createHash, createHmac, createPublicKey, publicEncrypt, randomBytes } from 'node:crypto'
import { TPM_TAG_RQU_AUTH1_COMMAND } from '../tpm-structures/codes.ts'
import { TPM_ORD } from '../tpm-structures/command-codes.ts'
import { concat, sized32, u8, u16, u32 } from './bytes.ts'
import { parametersOf, tpm12Authorized, tpm12Command } from './command.ts'

const DIGEST_BYTES = 20

const ALG_RSA = 1
const ES_RSAESOAEP_SHA1_MGF1 = 3
const SS_NONE = 1
export const EK_BITS = 2048

/** TPM_KEY_PARMS of an RSA key that enciphers: two primes, the default exponent. */
const KEY_PARMS = concat(
  u32(ALG_RSA),
  u16(ES_RSAESOAEP_SHA1_MGF1),
  u16(SS_NONE),
  sized32(u32(EK_BITS), u32(2), u32(0)),
)

export const createEndorsementKeyPair = (antiReplay: Buffer = randomBytes(DIGEST_BYTES)): Buffer =>
  tpm12Command(TPM_ORD.CreateEndorsementKeyPair, antiReplay, KEY_PARMS)

/** The public endorsement key of a TPM without an owner. */
export const readPubek = (antiReplay: Buffer = randomBytes(DIGEST_BYTES)): Buffer =>
  tpm12Command(TPM_ORD.ReadPubek, antiReplay)

const KH_EK = 0x40000006

/** The same of a TPM with an owner. */
export const ownerReadEk = (proof: OwnerProof): Buffer =>
  ownerAuthorized(TPM_ORD.OwnerReadInternalPub, proof, u32(KH_EK))

/** The parts of the TPM_PUBKEY that an endorsement key was made or asked for as. */
export interface EndorsementKeyArea {
  readonly algorithm: Buffer
  readonly encryption: Buffer
  readonly signature: Buffer
  /** TPM_RSA_KEY_PARMS */
  readonly parameters: Buffer
  readonly modulus: Buffer
}

/** @throws RangeError when the response is too short */
export function endorsementKeyArea(response: Buffer): EndorsementKeyArea {
  const reader = parametersOf(response)
  return {
    algorithm: reader.bytes(4),
    encryption: reader.bytes(2),
    signature: reader.bytes(2),
    parameters: reader.sized32(),
    modulus: reader.sized32(),
  }
}

/** The modulus of the endorsement key that was made or asked for. @throws RangeError when the response is too short */
export const endorsementModulus = (response: Buffer): Buffer => endorsementKeyArea(response).modulus

export const oiap = (): Buffer => tpm12Command(TPM_ORD.OIAP)

export interface AuthSession {
  readonly handle: number
  readonly nonceEven: Buffer
}

export function authSession(response: Buffer): AuthSession {
  const reader = parametersOf(response)
  return { handle: reader.u32(), nonceEven: reader.bytes(DIGEST_BYTES) }
}

const PID_OWNER = 5
const TAG_KEY12 = 0x0028
const KEY_STORAGE = 0x0011
const AUTH_ALWAYS = 1

/** The storage root key to make: a TPM_KEY12 without PCRs, public key or private part. */
const SRK = concat(
  u16(TAG_KEY12),
  u16(0),
  u16(KEY_STORAGE),
  u32(0),
  u8(AUTH_ALWAYS),
  KEY_PARMS,
  u32(0),
  u32(0),
  u32(0),
)

export interface Ownership {
  readonly endorsementModulus: Buffer
  readonly ownerAuth: Buffer
  readonly srkAuth: Buffer
  readonly session: AuthSession
  readonly nonceOdd?: Buffer
}

export function takeOwnership(ownership: Ownership): Buffer {
  const { endorsementModulus: modulus, ownerAuth, srkAuth, session } = ownership
  const parameters = concat(
    u16(PID_OWNER),
    sized32(encryptForTpm(modulus, ownerAuth)),
    sized32(encryptForTpm(modulus, srkAuth)),
    SRK,
  )
  return ownerAuthorized(
    TPM_ORD.TakeOwnership,
    { auth: ownerAuth, session, nonceOdd: ownership.nonceOdd },
    parameters,
  )
}

/** What proves to a TPM that the owner sends a command. The session ends with it. */
export interface OwnerProof {
  readonly auth: Buffer
  readonly session: AuthSession
  readonly nonceOdd?: Buffer | undefined
}

function ownerAuthorized(ordinal: number, proof: OwnerProof, parameters: Buffer): Buffer {
  const { auth, session, nonceOdd = randomBytes(DIGEST_BYTES) } = proof
  const inDigest = sha1(concat(u32(ordinal), parameters))
  const endSession = u8(0)
  const authData = createHmac('sha1', auth)
    .update(concat(inDigest, session.nonceEven, nonceOdd, endSession))
    .digest()
  return tpm12Authorized(
    TPM_TAG_RQU_AUTH1_COMMAND,
    ordinal,
    ...[parameters, u32(session.handle), nonceOdd, endSession, authData],
  )
}

/** TPM 1.2's RSA-OAEP: SHA-1 and the label "TCPA". */
function encryptForTpm(modulus: Buffer, secret: Buffer): Buffer {
  const key = createPublicKey({
    key: { kty: 'RSA', n: modulus.toString('base64url'), e: 'AQAB' },
    format: 'jwk',
  })
  return publicEncrypt(
    { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1', oaepLabel: Buffer.from('TCPA') },
    secret,
  )
}

const TAG_NV_ATTRIBUTES = 0x0017
const TAG_NV_DATA_PUBLIC = 0x0018
const NV_PER_OWNERREAD = 0x00020000
const NV_PER_OWNERWRITE = 0x00000002
const LOCALITY_ALL = 0x1f
/** The D bit makes an index permanent. */
const NV_D_BIT = 0x10000000
export const NV_INDEX_EK_CERT = NV_D_BIT | 0xf000
export const NV_INDEX_PLATFORM_CERT = NV_D_BIT | 0xf002
const NV_INDEX_LOCK = 0xffffffff

function nvDefineSpace(index: number, permissions: number, size: number): Buffer {
  const anyPcrs = concat(u16(3), Buffer.alloc(3), u8(LOCALITY_ALL), Buffer.alloc(DIGEST_BYTES))
  const flags = Buffer.alloc(3) // read and write locks, write once: none
  const publicInfo = concat(
    u16(TAG_NV_DATA_PUBLIC),
    u32(index),
    anyPcrs,
    anyPcrs,
    u16(TAG_NV_ATTRIBUTES),
    u32(permissions),
    flags,
    u32(size),
  )
  return tpm12Command(TPM_ORD.NV_DefineSpace, publicInfo, Buffer.alloc(DIGEST_BYTES))
}

export const nvDefineCert = (index: number, size: number): Buffer =>
  nvDefineSpace(index, NV_PER_OWNERREAD | NV_PER_OWNERWRITE, size)

export const nvWriteValue = (index: number, data: Buffer): Buffer =>
  tpm12Command(TPM_ORD.NV_WriteValue, u32(index), u32(0), sized32(data))

const CAP_NV_INDEX = 0x11

export const getNvArea = (index: number): Buffer =>
  tpm12Command(TPM_ORD.GetCapability, u32(CAP_NV_INDEX), u32(4), u32(index))

/** The size of the area in bytes, the last field of its TPM_NV_DATA_PUBLIC. */
export function nvAreaSize(response: Buffer): number {
  const area = parametersOf(response).sized32()
  if (area.length < 4) throw new RangeError("the TPM's response is too short")
  return area.readUInt32BE(area.length - 4)
}

export const ownerNvReadValue = (proof: OwnerProof, index: number, offset: number, size: number): Buffer =>
  ownerAuthorized(TPM_ORD.NV_ReadValue, proof, concat(u32(index), u32(offset), u32(size)))

export const nvValue = (response: Buffer): Buffer => parametersOf(response).sized32()

/** Defining the lock index turns the checks of NV permissions on, for good. */
export const nvLock = (): Buffer => nvDefineSpace(NV_INDEX_LOCK, 0, 0)

export const sha1 = (data: Uint8Array | string): Buffer => createHash('sha1').update(data).digest()

const CAP_HANDLE = 0x14
/** TPM_RESOURCE_TYPE */
export const RESOURCE_TYPE = { key: 1, auth: 2, transport: 4 } as const
export type ResourceType = keyof typeof RESOURCE_TYPE

export const getResources = (type: ResourceType): Buffer =>
  tpm12Command(TPM_ORD.GetCapability, u32(CAP_HANDLE), sized32(u32(RESOURCE_TYPE[type])))

/** The handles of the resources that are loaded. @throws RangeError when the response is too short */
export function resourceHandles(response: Buffer): number[] {
  const reader = parametersOf(response)
  reader.u32() // the size of the list
  return Array.from({ length: reader.u16() }, () => reader.u32())
}

export const flushSpecific = (handle: number, type: ResourceType): Buffer =>
  tpm12Command(TPM_ORD.FlushSpecific, u32(handle), u32(RESOURCE_TYPE[type]))

export const getTicks = (): Buffer => tpm12Command(TPM_ORD.GetTicks)
