/** Whether libvirt finds this program, and may use it. */
import { readdirSync, type Stats, statSync } from 'node:fs'
import { installPackage, REMEDIES } from '../../../../system/missing-things.ts'
import { type Check, firstOf, missing, ok, textOf, warning } from '../check.ts'
import { programsIn } from './program.ts'

const DAEMONS = ['/usr/sbin/virtqemud', '/usr/sbin/libvirtd'] as const
const QEMU_CONF = '/etc/libvirt/qemu.conf'
/** Of a service, where its unit says nothing else. @see systemd.exec(5) "Environment Variables" */
const SERVICE_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin'
const CA_FOLDER = '/var/lib/swtpm-localca'
/** What libvirt takes without a word in qemu.conf. */
const DEFAULT_USER = 'tss'

/** @returns one check where libvirt is not there: the others would say nothing */
export function libvirt(): Check[] {
  const daemon = firstOf(...DAEMONS)
  if (daemon === undefined)
    return [missing('libvirt', 'libvirt is not installed', installPackage('libvirt-daemon-system'))]
  const user = settingOf('swtpm_user') ?? DEFAULT_USER
  return [ok('libvirt', `libvirt is there (${daemon})`), whatItStarts(daemon), ...userAndCa(user)]
}

/** What libvirt executes. */
const NEEDED = ['swtpm', 'swtpm_setup', 'swtpm_ioctl'] as const

function whatItStarts(daemon: string): Check {
  const running = pathOfRunning(daemon)
  const whose = running === undefined ? 'the PATH of services' : "libvirt's PATH"
  const { first, others, none } = programsIn(running ?? SERVICE_PATH, NEEDED)
  const install = { ...REMEDIES.installation, command: `${REMEDIES.installation.command} -- --prefix=/usr` }
  if (others.length > 0)
    return missing(
      'libvirt-swtpm',
      `libvirt starts another program than this one: ${others.join(', ')}`,
      install,
    )
  if (none.length > 0)
    return missing('libvirt-swtpm', `${none.join(', ')} cannot be found in ${whose}`, install)
  return ok('libvirt-swtpm', `libvirt starts ${first}, which is this program`)
}

/** In the environment of another process only root can look. */
function pathOfRunning(daemon: string): string | undefined {
  const name = daemon.replace(/.*\//, '')
  for (const pid of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    if (textOf(`/proc/${pid}/comm`)?.trim() !== name) continue
    const variable = textOf(`/proc/${pid}/environ`)
      ?.split('\0')
      .find((each) => each.startsWith('PATH='))
    if (variable !== undefined) return variable.slice('PATH='.length)
  }
  return undefined
}

/** `swtpm_user = "tss"`; undefined: not set, or not for this user to read. */
const settingOf = (name: string): string | undefined =>
  new RegExp(`^\\s*${name}\\s*=\\s*"([^"]*)"`, 'm').exec(textOf(QEMU_CONF) ?? '')?.[1]

function userAndCa(user: string): Check[] {
  const uid = uidOf(user)
  if (uid === undefined)
    return [
      missing('libvirt-user', `libvirt starts swtpm as user "${user}", who does not exist`, {
        command:
          user === DEFAULT_USER
            ? 'systemd-sysusers /usr/lib/sysusers.d/swtpm.conf'
            : `useradd --system ${user}`,
        asRoot: true,
      }),
    ]
  const found = ok('libvirt-user', `libvirt starts swtpm as user "${user}"`)
  const folder = statOf(CA_FOLDER)
  if (folder === undefined)
    return [
      found,
      warning(
        'libvirt-ca',
        `${CA_FOLDER} is not there, and user "${user}" may not make it: a TPM with certificates cannot be made`,
        {
          command: `install -d -m 0750 -o ${user} ${CA_FOLDER}`,
          asRoot: true,
        },
      ),
    ]
  if (folder.uid === uid) return [found, ok('libvirt-ca', `${CA_FOLDER} belongs to user "${user}"`)]
  return [
    found,
    warning(
      'libvirt-ca',
      `${CA_FOLDER} does not belong to user "${user}" but to the user ${folder.uid}: a TPM with certificates may not be made`,
      {
        command: `chown -R ${user} ${CA_FOLDER}`,
        asRoot: true,
      },
    ),
  ]
}

function uidOf(user: string): number | undefined {
  if (/^\+?\d+$/.test(user)) return Number(user)
  const line = (textOf('/etc/passwd') ?? '').split('\n').find((each) => each.startsWith(`${user}:`))
  const uid = line?.split(':')[2]
  return uid === undefined ? undefined : Number(uid)
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}
