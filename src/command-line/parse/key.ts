/** `--key`, `--migration-key`, and `--new-key` of `swtpm state rekey`. */

import type { Given } from '../../programs/common/options/given-options.ts'
import type { KeySource } from '../../serve/config.ts'
import { keySchema } from '../options/sub-options.ts'
import { subOptionsOf } from './given.ts'
import { subOptionError } from './sub-options.ts'

export function keyOf<N extends 'key' | 'new-key' | 'migration-key'>(
  given: Given<NoInfer<N>>,
  option: N,
): KeySource | undefined {
  const values = subOptionsOf(given, option, keySchema)
  if (values === undefined) return undefined

  const places = (['file', 'fd', 'pwdfile', 'pwdfd'] as const).filter((name) => values[name] !== undefined)
  if (places.length !== 1) {
    // Two keys for one state can only be a mistake, and the wrong one makes the state unreadable.
    const found = places.length === 0 ? '' : `, not ${places.join(' and ')}`
    throw subOptionError(option, `exactly one of file, fd, pwdfile and pwdfd is required${found}`)
  }
  const path = values.file ?? values.pwdfile
  const fd = values.fd ?? values.pwdfd ?? -1
  const isKey = values.file !== undefined || values.fd !== undefined
  return {
    origin: path !== undefined ? { kind: 'file', path } : { kind: 'fd', fd },
    material: isKey ? { kind: 'key', format: values.format } : { kind: 'passphrase', kdf: values.kdf },
    keyBits: values.mode === 'aes-256-cbc' ? 256 : 128,
    remove: values.remove,
  }
}
