/**
 * `--print-capabilities`: what this swtpm can do, for the programs that start it.
 *
 * Shape and order are the reference's to the byte, because some readers match the text. A verb is there only when the
 * feature works with the libtpms at hand.
 * @see swtpm(8) --print-capabilities
 */
import type { Changeable, EngineInfo, LibtpmsInfo } from '../../engine-client/channel/engine-info.ts'
import type { Interface } from '../../serve/config.ts'
import { COMPATIBLE_VERSION } from '../../system/version.ts'

/** Flags of TPMLIB_GetInfo() that the capabilities are made from: features, algorithms, commands, available profiles. */
export const CAPABILITY_INFO_FLAGS = 4 | 8 | 16 | 64

/**
 * The JSON line, without the newline.
 * @param tpmVersion the TPM version of the command line; only a TPM 2.0 has profiles
 */
export function capabilitiesJson(iface: Interface, tpmVersion: '1.2' | '2', engine: EngineInfo): string {
  const { info } = engine
  const profiles = tpmVersion === '2' ? engine.profiles : null
  const features = [
    engine.tpm12 && 'tpm-1.2',
    engine.tpm2 && 'tpm-2.0',
    iface !== 'cuse' && 'tpm-send-command-header',
    'flags-opt-startup',
    'flags-opt-disable-auto-shutdown',
    'ctrl-opt-terminate',
    engine.seccomp !== false && 'cmdarg-seccomp',
    'cmdarg-key-fd',
    'cmdarg-pwd-fd',
    'cmdarg-print-states',
    'cmdarg-chroot',
    'cmdarg-migration',
    'nvram-backend-dir',
    'nvram-backend-file',
    ...(info?.TPMFeatures?.RSAKeySizes ?? []).map((bits) => `rsa-keysize-${bits}`),
    profiles !== null && 'cmdarg-profile',
    profiles !== null && 'cmdarg-print-profiles',
    profiles !== null && 'profile-opt-remove-disabled',
    'cmdarg-print-info',
    'tpmstate-opt-lock',
    'tpmstate-dir-backend-opt-backup',
    'tpmstate-dir-backend-opt-fsync',
    'cmdarg-pcap',
    'systemd-notify',
  ].filter((feature) => feature !== false)

  const list = features.map((feature) => JSON.stringify(feature)).join(', ')
  const profileText = profiles === null ? '' : profilesText({ ...info, ...profiles })
  return `{ "type": "swtpm", "features": [ ${list} ], "profiles": { ${profileText}}, "version": "${COMPATIBLE_VERSION}" }`
}

/** The inside of `"profiles"`, with the blank before its closing brace. */
function profilesText(profiles: LibtpmsInfo): string {
  const names = (profiles.AvailableProfiles ?? []).map(({ Name }) => JSON.stringify(Name)).join(', ')
  const changeable = (what: Changeable | undefined) =>
    `{ "canbedisabled": ${JSON.stringify(what?.CanBeDisabled ?? '')}, "implemented": ${JSON.stringify(what?.Implemented ?? '')} }`
  return (
    `"names": [ ${names} ], "algorithms": ${changeable(profiles.RuntimeAlgorithms)}, ` +
    `"commands": ${changeable(profiles.RuntimeCommands)} `
  )
}
