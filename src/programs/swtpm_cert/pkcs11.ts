/**
 * Signing with a key behind PKCS #11, by openssl(1): a PKCS #11 module is a library to load, and this is no reason for
 * native code of our own.
 */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { type KeyObject, verify } from 'node:crypto'
import { REMEDIES } from '../../system/missing-things.ts'
import { reasonOf } from '../../system/reason.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import type { RawSign } from './signing-key.ts'

export const isPkcs11Uri = (text: string): boolean => text.startsWith('pkcs11:')

const PIN_VARIABLE = 'SWTPM_PKCS11_PIN'

/** How openssl gets at PKCS #11. */
interface Way {
  readonly name: string
  readonly args: readonly string[]
  /** The environment variable that names the module; without it p11-kit is asked, which knows all that are installed. */
  readonly moduleVariable: string
  /** What openssl says when it does not have it. */
  readonly missing: RegExp
}

/**
 * The first one that openssl has is used. OpenSSL 4 has no engines any more; Debian 12 has no provider.
 * @see openssl-dgst(1), provider-pkcs11(7)
 */
const WAYS: readonly Way[] = [
  {
    name: 'provider',
    args: ['-provider', 'pkcs11', '-provider', 'default'],
    moduleVariable: 'PKCS11_PROVIDER_MODULE',
    missing: /unable to load provider/,
  },
  {
    name: 'engine',
    args: ['-engine', 'pkcs11', '-keyform', 'engine'],
    moduleVariable: 'PKCS11_MODULE_PATH',
    missing: /Invalid engine|Unknown option/,
  },
]

/**
 * @param publicKey the key's public half, against which each signature is checked
 * @param environment with {@link PIN_VARIABLE}, which overrides a PIN in `uri`, and the variables that the module needs
 */
export function pkcs11Sign(uri: string, publicKey: KeyObject, environment: NodeJS.ProcessEnv): RawSign {
  const place = keyPlace(uri)
  return (hash, data) => {
    if (hash === undefined) throw failure(place.uri, 'only RSA and ECC keys can sign there')
    for (const way of WAYS) {
      const { stdout, stderr, status, signal, error } = sign(way, place, hash, data, environment)
      // An openssl that has ended before it read the data has said why.
      if (error !== undefined && (error as NodeJS.ErrnoException).code !== 'EPIPE')
        throw failure(place.uri, `openssl cannot be run: ${reasonOf(error)}; \`${REMEDIES.openssl.command}\``)
      // The signature counts, and not how openssl has ended: modules crash at its exit (SoftHSM with provider 1.0 does).
      if (stdout.length > 0 && verify(hash, data, publicKey, stdout)) return stdout
      const said = stderr.toString()
      if (way.missing.test(said)) continue
      if (status === 0) throw failure(place.uri, 'it does not belong to the issuer certificate')
      throw failure(
        place.uri,
        `openssl dgst with the pkcs11 ${way.name}: ${firstReason(said) ?? signal ?? status}`,
      )
    }
    throw failure(
      place.uri,
      'openssl has neither the provider nor the engine for PKCS #11; install pkcs11-provider (Debian 12: libengine-pkcs11-openssl)',
    )
  }
}

function sign(
  { args, moduleVariable }: Way,
  { uri, pin, modulePath }: KeyPlace,
  hash: string,
  data: Uint8Array,
  environment: NodeJS.ProcessEnv,
): SpawnSyncReturns<Buffer> {
  const env: NodeJS.ProcessEnv = { ...environment, [PIN_VARIABLE]: environment[PIN_VARIABLE] ?? pin ?? '' }
  if (modulePath !== undefined) env[moduleVariable] = modulePath
  return spawnSync('openssl', ['dgst', `-${hash}`, ...args, '-passin', `env:${PIN_VARIABLE}`, '-sign', uri], {
    env,
    input: data,
  })
}

/** What openssl says first; that it has loaded an engine is no reason. */
const firstReason = (said: string): string | undefined =>
  said.split('\n').find((line) => line !== '' && !/^Engine .* set\.$/.test(line))

const failure = (uri: string, reason: string): ToolFailure =>
  new ToolFailure(`Cannot sign with "${uri}": ${reason}`)

export interface KeyPlace {
  /** Without a query, which not all read, and never with the PIN: arguments of a process are for all to see. */
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
