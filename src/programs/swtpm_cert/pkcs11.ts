/**
 * Signing with a key behind PKCS #11, which openssl(1) reaches through its pkcs11 engine: a PKCS #11 module is a library
 * to load, and this is no reason for native code of our own.
 */
import { spawnSync } from 'node:child_process'
import { type KeyObject, verify } from 'node:crypto'
import { reasonOf } from '../../system/reason.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import type { RawSign } from './signing-key.ts'

export const isPkcs11Uri = (text: string): boolean => text.startsWith('pkcs11:')

const PIN_VARIABLE = 'SWTPM_PKCS11_PIN'

/**
 * @param publicKey the key's public half, against which each signature is checked
 * @param environment with {@link PIN_VARIABLE}, which overrides a PIN in `uri`, and the variables that the module needs
 */
export function pkcs11Sign(uri: string, publicKey: KeyObject, environment: NodeJS.ProcessEnv): RawSign {
  const place = keyPlace(uri)
  const env: NodeJS.ProcessEnv = {
    ...environment,
    [PIN_VARIABLE]: environment[PIN_VARIABLE] ?? place.pin ?? '',
  }
  // Without a path the engine asks p11-kit, which knows all installed modules.
  if (place.modulePath !== undefined) env.PKCS11_MODULE_PATH = place.modulePath
  return (hash, data) => {
    if (hash === undefined) throw failure(place.uri, 'only RSA and ECC keys can sign there')
    const engine = ['-engine', 'pkcs11', '-keyform', 'engine', '-passin', `env:${PIN_VARIABLE}`]
    const { status, stdout, stderr, error } = spawnSync(
      'openssl',
      ['dgst', `-${hash}`, ...engine, '-sign', place.uri],
      {
        env,
        input: data,
      },
    )
    if (error !== undefined) throw failure(place.uri, `openssl is missing: ${reasonOf(error)}`)
    if (status !== 0) {
      const [reason = ''] = stderr
        .toString()
        .replace(/^Engine .* set\.\n/, '')
        .split('\n')
      throw failure(place.uri, `openssl dgst -engine pkcs11: ${reason} (Debian: libengine-pkcs11-openssl)`)
    }
    if (!verify(hash, data, publicKey, stdout)) {
      throw failure(place.uri, 'it does not belong to the issuer certificate')
    }
    return stdout
  }
}

const failure = (uri: string, reason: string): ToolFailure =>
  new ToolFailure(`Cannot sign with "${uri}": ${reason}`)

export interface KeyPlace {
  /** Without a query, which the engine does not read, and never with the PIN: arguments of a process are for all to see. */
  readonly uri: string
  readonly pin: string | undefined
  readonly modulePath: string | undefined
}

/** Tools list keys by the URI of their public half; signing takes the private one. */
export function keyPlace(uri: string): KeyPlace {
  const [path = '', query = ''] = uri.split('?', 2)
  const attributes = new Map(
    query.split('&').map((attribute) => {
      const [name = '', value = ''] = attribute.split('=', 2)
      return [name, decodeURIComponent(value)]
    }),
  )
  return {
    uri: path.replace(/(?<=[:;])type=[^;]*/, 'type=private'),
    pin: attributes.get('pin-value'),
    modulePath: attributes.get('module-path'),
  }
}
