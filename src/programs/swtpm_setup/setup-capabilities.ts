/** swtpm_setup --print-capabilities: what libvirt asks before it uses an option. */

import { COMPATIBLE_VERSION } from '../../system/version.ts'
import { capabilitiesLine } from '../common/capabilities-line.ts'
import type { TpmCommandLine } from './tpm-command-line.ts'
import { TpmFeatures } from './tpm-features.ts'

const ALWAYS = [
  'cmdarg-keyfile-fd',
  'cmdarg-pwdfile-fd',
  'tpm12-not-need-root',
  'cmdarg-write-ek-cert-files',
  'cmdarg-create-config-files',
  'cmdarg-reconfigure-pcr-banks',
]
const KEY_CHOICE = ['cmdarg-ek1keyalgo', 'cmdarg-ek2keyalgo', 'cmdarg-iakkeyalgo', 'cmdarg-idevidkeyalgo']

export function setupCapabilities(command: TpmCommandLine): string {
  const either = TpmFeatures.of(command, false)
  const hasTpm2 = either.has('tpm-2.0')
  const tpm2 = hasTpm2 ? TpmFeatures.of(command, true) : undefined
  return describe(either, tpm2)
}

/** Profiles are ours to offer only when the TPM takes them. */
function describe(either: TpmFeatures, tpm2: TpmFeatures | undefined): string {
  const features = ['tpm-1.2', 'tpm-2.0'].filter((version) => either.has(version))
  features.push(...ALWAYS)
  if (tpm2 === undefined) {
    return capabilitiesLine({ type: 'swtpm_setup', features, version: COMPATIBLE_VERSION })
  }
  features.push(...tpm2.rsaKeySizes.filter((bits) => bits >= 2048).map((bits) => `tpm2-rsa-keysize-${bits}`))
  const takesProfiles = tpm2.has('cmdarg-profile')
  if (takesProfiles) {
    features.push('cmdarg-profile')
    if (tpm2.has('profile-opt-remove-disabled')) features.push('cmdarg-profile-remove-disabled')
  }
  features.push(...KEY_CHOICE)
  const profiles = takesProfiles ? { profiles: tpm2.profiles } : {}
  return capabilitiesLine({ type: 'swtpm_setup', features, ...profiles, version: COMPATIBLE_VERSION })
}
