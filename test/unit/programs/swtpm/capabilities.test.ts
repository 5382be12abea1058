import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EngineInfo } from '../../../../src/engine-client/channel/engine-info.ts'
import { capabilitiesJson } from '../../../../src/programs/swtpm/capabilities.ts'
import { COMPATIBLE_VERSION } from '../../../../src/system/version.ts'

const libtpms09: EngineInfo = {
  libtpms: '0.9.2',
  tpm12: true,
  tpm2: true,
  info: { TPMFeatures: { RSAKeySizes: [1024, 2048, 3072] } },
  profiles: null,
}

const libtpms010: EngineInfo = {
  ...libtpms09,
  libtpms: '0.10.0',
  info: {
    ...libtpms09.info,
    RuntimeAlgorithms: { Implemented: 'rsa,aes', CanBeDisabled: 'rsa' },
    RuntimeCommands: { Implemented: '0x11f-0x122', CanBeDisabled: '0x11f' },
  },
  profiles: { AvailableProfiles: [{ Name: 'default-v1' }, { Name: 'null' }] },
}

/** As the reference orders them. */
const verbs = [
  ...[
    'tpm-1.2',
    'tpm-2.0',
    'tpm-send-command-header',
    'flags-opt-startup',
    'flags-opt-disable-auto-shutdown',
  ],
  ...['ctrl-opt-terminate', 'cmdarg-seccomp', 'cmdarg-key-fd', 'cmdarg-pwd-fd', 'cmdarg-print-states'],
  ...['cmdarg-chroot', 'cmdarg-migration', 'nvram-backend-dir', 'nvram-backend-file'],
  ...['rsa-keysize-1024', 'rsa-keysize-2048', 'rsa-keysize-3072'],
  ...['cmdarg-profile', 'cmdarg-print-profiles', 'profile-opt-remove-disabled', 'cmdarg-print-info'],
  ...['tpmstate-opt-lock', 'tpmstate-dir-backend-opt-backup', 'tpmstate-dir-backend-opt-fsync'],
  ...['cmdarg-pcap', 'systemd-notify'],
]

const list = (names: readonly string[]) => names.map((name) => `"${name}"`).join(', ')

test('the text is that of the reference, blank for blank', () => {
  const expected = verbs.filter((verb) => !/profile/.test(verb))
  assert.equal(
    capabilitiesJson('socket', '2', libtpms09),
    `{ "type": "swtpm", "features": [ ${list(expected)} ], "profiles": { }, "version": "${COMPATIBLE_VERSION}" }`,
  )
})

test('a libtpms with profiles names them, for a TPM 2.0', () => {
  const text = capabilitiesJson('socket', '2', libtpms010)
  assert.ok(text.includes(`"features": [ ${list(verbs)} ], `))
  assert.match(
    text,
    /"profiles": { "names": \[ "default-v1", "null" \], "algorithms": { "canbedisabled": "rsa", "implemented": "rsa,aes" }, "commands": { "canbedisabled": "0x11f", "implemented": "0x11f-0x122" } }, /,
  )
  assert.doesNotMatch(capabilitiesJson('socket', '1.2', libtpms010), /profiles",|names/)
})

test('what the libtpms at hand lacks is not claimed', () => {
  const text = capabilitiesJson('chardev', '1.2', { ...libtpms09, tpm2: false, info: {}, seccomp: false })
  assert.doesNotMatch(text, /tpm-2.0|rsa-keysize|seccomp/)
  assert.doesNotMatch(capabilitiesJson('chardev', '2', { ...libtpms09, tpm12: false }), /tpm-1.2/)
  assert.doesNotMatch(capabilitiesJson('cuse', '2', libtpms09), /tpm-send-command-header/)
})

test('it is JSON', () => {
  for (const engine of [libtpms09, libtpms010]) JSON.parse(capabilitiesJson('cuse', '2', engine))
})
