/** Names in certificates, from the `CN=vm,O=acme` strings of a command line. */
import { AttributeTypeAndValue, AttributeValue, Name, RelativeDistinguishedName } from '@peculiar/asn1-x509'
import { ToolFailure } from '../common/tool-failure.ts'

const ATTRIBUTES: Readonly<Record<string, string>> = {
  CN: '2.5.4.3',
  SN: '2.5.4.4',
  SERIALNUMBER: '2.5.4.5',
  C: '2.5.4.6',
  L: '2.5.4.7',
  ST: '2.5.4.8',
  STREET: '2.5.4.9',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  TITLE: '2.5.4.12',
  DC: '0.9.2342.19200300.100.1.25',
  UID: '0.9.2342.19200300.100.1.1',
  EMAIL: '1.2.840.113549.1.9.1',
}

const IA5_ATTRIBUTES = new Set([ATTRIBUTES.DC, ATTRIBUTES.EMAIL])

/** The characters of X.680's PrintableString. */
const PRINTABLE = /^[A-Za-z0-9 '()+,\-./:=?]*$/

/**
 * Reads an RFC 4514 string: parts at unescaped commas, the last one coming first in the certificate; `\x` is `x`, `\2c`
 * is the byte 0x2c. Attribute names are case-blind, an object identifier may stand for one.
 * @throws ToolFailure naming the part that cannot be read
 */
export function parseDistinguishedName(text: string): Name {
  const parts = text.match(/(?:\\[\s\S]|[^,\\])+/g) ?? []
  return new Name(
    parts.reverse().map((part) => {
      const [, key = '', raw = ''] = /^\s*([^=]+?)\s*=\s*([\s\S]*)$/.exec(part) ?? []
      const type = ATTRIBUTES[key.toUpperCase()] ?? (/^\d+(\.\d+)+$/.test(key) ? key : undefined)
      if (type === undefined) {
        throw new ToolFailure(
          `Cannot read subject part "${part}" of "${text}": write NAME=value with one of ${Object.keys(ATTRIBUTES).join(', ')}`,
        )
      }
      return relativeName(type, unescapeValue(raw))
    }),
  )
}

export function commonName(value: string): Name {
  return new Name([relativeName(ATTRIBUTES.CN!, value)])
}

function relativeName(type: string, value: string): RelativeDistinguishedName {
  return new RelativeDistinguishedName([
    new AttributeTypeAndValue({ type, value: directoryString(type, value) }),
  ])
}

function directoryString(type: string, value: string): AttributeValue {
  if (IA5_ATTRIBUTES.has(type)) return new AttributeValue({ ia5String: value })
  return new AttributeValue(PRINTABLE.test(value) ? { printableString: value } : { utf8String: value })
}

function unescapeValue(raw: string): string {
  const bytes: number[] = []
  const trimmed = raw.replace(/(?<!\\)\s+$/, '')
  for (const [, hex, escaped, plain] of trimmed.matchAll(/\\([0-9A-Fa-f]{2})|\\([\s\S])|([^\\]+|\\$)/g)) {
    if (hex !== undefined) bytes.push(Number.parseInt(hex, 16))
    else bytes.push(...Buffer.from(escaped ?? plain ?? '', 'utf8'))
  }
  return Buffer.from(bytes).toString('utf8')
}
