/** Which container runtimes are there, and whether they can be given a TPM. */
import { statSync } from 'node:fs'
import { installPackage, REMEDIES } from '../../../../system/missing-things.ts'
import { DEFAULT_DIRECTORY } from '../../cdi/cdi-options.ts'
import { type Check, firstOf, missing, ok, programIn, warning } from '../check.ts'
import { isOurs } from './program.ts'

const FOLDERS = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** They take specifications of devices by name (CDI). */
const WITH_CDI = ['podman', 'docker', 'nerdctl', 'crictl'] as const
/** They start swtpm themselves, each from its own PATH. */
const STARTERS = { incusd: 'Incus', lxd: 'LXD' } as const
const LXD_SNAP = '/snap/lxd/current'

export function containers(): Check[] {
  const runtimes = WITH_CDI.filter((name) => programIn(FOLDERS, name) !== undefined)
  const starters = Object.entries(STARTERS).filter(([program]) => programIn(FOLDERS, program) !== undefined)
  const isSnap = firstOf(LXD_SNAP) !== undefined
  const none = runtimes.length === 0 && starters.length === 0 && !isSnap
  return [
    ...(none
      ? [missing('runtime', 'there is no podman, Docker, Incus or LXD', installPackage('podman'))]
      : []),
    ...(runtimes.length === 0
      ? []
      : [
          ok('runtime', `${runtimes.join(', ')}: given a TPM by \`swtpm cdi write\`, or by --device`),
          specifications(),
        ]),
    ...starters.map(([program, name]) => startedBy(program, name)),
    ...(isSnap ? [ok('lxd-snap', 'the snap of LXD brings a swtpm of its own, the C program')] : []),
  ]
}

function specifications(): Check {
  try {
    if (statSync(DEFAULT_DIRECTORY).isDirectory())
      return ok('cdi', `${DEFAULT_DIRECTORY} is there, where runtimes look for specifications`)
    return missing(
      'cdi',
      `${DEFAULT_DIRECTORY} is no directory, and runtimes look there for specifications`,
      `rm ${DEFAULT_DIRECTORY}`,
    )
  } catch {
    return ok('cdi', `${DEFAULT_DIRECTORY} is not there yet: \`swtpm cdi write\` makes it`)
  }
}

function startedBy(program: string, name: string): Check {
  const first = programIn(FOLDERS, 'swtpm')
  if (first === undefined)
    return missing(program, `${name} starts swtpm from its PATH, and there is none`, REMEDIES.installation)
  return isOurs(first)
    ? ok(program, `${name} starts ${first}, which is this program`)
    : warning(
        program,
        `${name} starts ${first}, which is another program than this one`,
        REMEDIES.installation,
      )
}
