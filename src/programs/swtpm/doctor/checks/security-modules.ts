/** AppArmor and SELinux, which may keep a program from what it needs without a word to it. */

import { REMEDIES } from '../../../../system/missing-things.ts'
import { type Check, firstOf, isRoot, missing, ok, programIn, textOf, warning } from '../check.ts'

const PROFILE = 'libvirt-swtpm'
const PROFILE_FILES = ['/etc/apparmor.d/usr.bin.swtpm', '/etc/apparmor.d/usr.local.bin.swtpm']

/** Where libvirt starts swtpm in the profile of the virtual machine, swtpm has to have its own. */
export function appArmorForLibvirt(): Check {
  if (textOf('/sys/module/apparmor/parameters/enabled')?.trim() !== 'Y')
    return ok('apparmor', 'AppArmor is not enabled')
  const profiles = textOf('/sys/kernel/security/apparmor/profiles')
  const file = firstOf(...PROFILE_FILES)
  if (profiles !== undefined && new RegExp(`^${PROFILE} `, 'm').test(profiles))
    return ok('apparmor', `AppArmor is enabled, and the profile ${PROFILE} is loaded`)
  if (file === undefined)
    return missing(
      'apparmor',
      `AppArmor is enabled, and swtpm has no profile: libvirt's profiles allow a program /usr/bin/swtpm, and not what this one reads`,
      { ...REMEDIES.installation, command: `${REMEDIES.installation.command} -- --prefix=/usr` },
    )
  if (profiles === undefined)
    return warning(
      'apparmor',
      `AppArmor is enabled, and there is a profile of swtpm (${file}); ${isRoot() ? 'the kernel does not tell whether it is loaded' : 'only root can see whether it is loaded'}`,
    )
  return missing('apparmor', `AppArmor is enabled, and the profile of swtpm (${file}) is not loaded`, {
    command: `apparmor_parser --replace ${file}`,
    asRoot: true,
  })
}

export function seLinux(): Check {
  switch (textOf('/sys/fs/selinux/enforce')?.trim()) {
    case '1':
      return warning(
        'selinux',
        'SELinux is enforced: its policy knows the C program as swtpm_t, and may refuse this one Node and its engine',
        { command: 'semanage permissive -a swtpm_t', asRoot: true },
      )
    case '0':
      return ok('selinux', 'SELinux is permissive')
    default:
      return ok('selinux', 'SELinux is not enabled')
  }
}

/** The profile that this process is in itself. */
export function ownProfile(): Check[] {
  const current = textOf('/proc/self/attr/current')?.replace(/\0/g, '').trim() ?? ''
  const [, profile] = /^(.+) \(enforce\)$/.exec(current) ?? []
  if (profile === undefined) return []
  const more =
    programIn('/usr/bin:/bin', 'dmesg') === undefined ? '' : ': `dmesg | grep DENIED` tells what it refuses'
  return [ok('own-profile', `this process is in AppArmor's profile "${profile}"${more}`)]
}
