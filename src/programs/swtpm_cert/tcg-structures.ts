/**
 * The TCG's own structures inside a certificate: who made the TPM and the platform, which specification the TPM follows,
 * which hardware module holds a device identity key.
 */
import { AsnConvert, AsnProp, AsnPropTypes, AsnType, AsnTypeTypes, OctetString } from '@peculiar/asn1-schema'
import {
  Attribute,
  AttributeTypeAndValue,
  AttributeValue,
  GeneralName,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectDirectoryAttributes,
} from '@peculiar/asn1-x509'
import { OID } from './oids.ts'

/** Manufacturer, model and version, of a TPM or of a platform. */
export interface Maker {
  readonly manufacturer: string
  readonly model: string
  readonly version: string
}

export interface TpmSpecification {
  readonly family: string
  readonly level: number
  readonly revision: number
}

const utf8Attribute = (type: string, value: string): RelativeDistinguishedName =>
  new RelativeDistinguishedName([
    new AttributeTypeAndValue({ type, value: new AttributeValue({ utf8String: value }) }),
  ])

const makerName = (maker: Maker, oids: readonly [string, string, string]): Name =>
  new Name([
    utf8Attribute(oids[0], maker.manufacturer),
    utf8Attribute(oids[1], maker.model),
    utf8Attribute(oids[2], maker.version),
  ])

export const tpmMakerName = (maker: Maker): Name =>
  makerName(maker, [OID.tpmManufacturer, OID.tpmModel, OID.tpmVersion])

export const platformMakerName = (maker: Maker, tpm2: boolean): Name =>
  makerName(
    maker,
    tpm2
      ? [OID.platformManufacturer2, OID.platformModel2, OID.platformVersion2]
      : [OID.platformManufacturer12, OID.platformModel12, OID.platformVersion12],
  )

/** A subject alternative name that holds one directory name. */
export function directoryAltName(name: Name): ArrayBuffer {
  return AsnConvert.serialize(new SubjectAlternativeName([new GeneralName({ directoryName: name })]))
}

/**
 * The subject alternative name of a TPM 1.2 platform certificate: one directory name of two names, TPM then platform.
 * No Name of X.501 has that shape, but readers of these certificates have met no other for ten years.
 */
export function tpm12PlatformAltName(tpm: Maker, platform: Maker): ArrayBuffer {
  const names = Buffer.concat(
    [tpmMakerName(tpm), platformMakerName(platform, false)].map((name) =>
      Buffer.from(AsnConvert.serialize(name)),
    ),
  )
  const directoryName = derValue(0xa4, derValue(0x30, names))
  return Uint8Array.from(derValue(0x30, directoryName)).buffer
}

/** Tag, length and content in DER. */
export function derValue(tag: number, content: Uint8Array): Buffer {
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content])
  const hex = content.length.toString(16)
  const length = Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex')
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, content])
}

class TpmSpecificationSequence {
  family = ''
  level = 0
  revision = 0
}
AsnType({ type: AsnTypeTypes.Sequence })(TpmSpecificationSequence)
AsnProp({ type: AsnPropTypes.Utf8String })(TpmSpecificationSequence.prototype, 'family')
AsnProp({ type: AsnPropTypes.Integer })(TpmSpecificationSequence.prototype, 'level')
AsnProp({ type: AsnPropTypes.Integer })(TpmSpecificationSequence.prototype, 'revision')

/** The subject directory attributes that say which TPM specification the TPM follows. */
export function tpmSpecificationAttributes(specification: TpmSpecification): ArrayBuffer {
  const sequence = Object.assign(new TpmSpecificationSequence(), specification)
  const attribute = new Attribute({ type: OID.tpmSpecification, values: [AsnConvert.serialize(sequence)] })
  return AsnConvert.serialize(new SubjectDirectoryAttributes([attribute]))
}

class HardwareModuleName {
  hwType: string = OID.hwType
  hwSerialNum: OctetString = new OctetString()
}
AsnType({ type: AsnTypeTypes.Sequence })(HardwareModuleName)
AsnProp({ type: AsnPropTypes.ObjectIdentifier })(HardwareModuleName.prototype, 'hwType')
AsnProp({ type: OctetString })(HardwareModuleName.prototype, 'hwSerialNum')

/** The subject alternative name of an IAK or IDevID certificate: the TPM as a hardware module with a serial number. */
export function hardwareModuleAltName(tpmSerialNumber: string): ArrayBuffer {
  const module = new HardwareModuleName()
  module.hwSerialNum = new OctetString(Buffer.from(tpmSerialNumber, 'utf8'))
  const value = new AttributeValue({ anyValue: AsnConvert.serialize(module) })
  return directoryAltName(
    new Name([
      new RelativeDistinguishedName([new AttributeTypeAndValue({ type: OID.hardwareModuleName, value })]),
    ]),
  )
}
