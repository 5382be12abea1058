/** Whether this program is whole, and what its libtpms can do. */
import { existsSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { engineInfo } from '../../../../engine-client/channel/engine-info.ts'
import { sentenceOf } from '../../../../system/fault.ts'
import { loadIoctl } from '../../../../system/io/ioctl.ts'
import { REMEDIES } from '../../../../system/missing-things.ts'
import { native } from '../../../../system/native/load.ts'
import { installedFile } from '../../../../system/paths.ts'
import { type Check, missing, ok, programIn, textOf, warning } from '../check.ts'

/** @see package.json, engines */
const OLDEST_NODE = 20
const PROGRAMS = ['swtpm', 'swtpm_setup', 'swtpm_ioctl', 'swtpm_bios', 'swtpm_cert', 'swtpm_localca'] as const
const AVAILABLE_PROFILES = 64

export function node(): Check {
  const major = Number(process.versions.node.split('.')[0])
  return major >= OLDEST_NODE
    ? ok('node', `Node ${process.version}`)
    : missing(
        'node',
        `Node ${process.version} is too old: ${OLDEST_NODE} or newer is needed`,
        `install Node ${OLDEST_NODE} or newer`,
      )
}

export function addon(): Check {
  try {
    // It is loaded when something of it is asked for.
    return typeof native.lockHolder === 'function'
      ? ok('addon', 'the native addon can be loaded')
      : missing('addon', 'the native addon is of another version', REMEDIES.nativeLayer)
  } catch (error) {
    return missing('addon', sentenceOf(error), REMEDIES.nativeLayer)
  }
}

/** The engine, and libtpms with it. */
export function libtpms(): Check {
  try {
    const { libtpms: release, tpm12, tpm2, profiles, seccomp } = engineInfo(AVAILABLE_PROFILES, '2')
    const kinds = [tpm2 && 'TPM 2.0', tpm12 && 'TPM 1.2'].filter(Boolean).join(' and ')
    const names = profiles?.AvailableProfiles?.map(({ Name }) => Name).join(', ')
    const more =
      names === undefined ? 'without profiles, which libtpms 0.10 and newer have' : `profiles ${names}`
    if (seccomp === false)
      return warning(
        'libtpms',
        `libtpms ${release}: ${kinds}, ${more}; the engine was built without seccomp`,
        REMEDIES.nativeLayer,
      )
    return tpm2
      ? ok('libtpms', `libtpms ${release}: ${kinds}, ${more}`)
      : warning('libtpms', `libtpms ${release} has no TPM 2.0`)
  } catch (error) {
    const text = sentenceOf(error)
    const [library] = /libtpms\.so[.\d]*/.exec(text) ?? []
    return library === undefined
      ? missing('libtpms', text, REMEDIES.nativeLayer)
      : missing('libtpms', `libtpms is missing: the engine cannot load ${library}`, REMEDIES.libtpms)
  }
}

export function ioctlPackage(): Check {
  try {
    loadIoctl()
    return ok('ioctl', 'ioctls can be made')
  } catch (error) {
    return missing('ioctl', sentenceOf(error), REMEDIES.nodePackages)
  }
}

/** What confines the engine. */
export function confinement(): Check[] {
  const seccomp = textOf('/proc/sys/kernel/seccomp/actions_avail')
  const lsm = textOf('/sys/kernel/security/lsm')
  return [
    seccomp === undefined && !existsSync('/proc/sys/kernel')
      ? ok('seccomp', 'whether the kernel filters system calls cannot be seen here (/proc is not mounted)')
      : seccomp?.includes('kill_process')
        ? ok('seccomp', 'the kernel filters system calls (seccomp)')
        : warning(
            'seccomp',
            'this kernel does not say that it filters system calls (seccomp); without it swtpm starts only with --seccomp action=none',
            'take a kernel with CONFIG_SECCOMP_FILTER, or say --seccomp action=none',
          ),
    lsm === undefined
      ? ok(
          'landlock',
          'whether the kernel has Landlock cannot be seen here (/sys/kernel/security is not mounted)',
        )
      : lsm.split(',').includes('landlock')
        ? ok('landlock', 'the kernel keeps engines in their state directory (Landlock)')
        : warning(
            'landlock',
            `Landlock is not among the security modules of this kernel (${lsm.trim()}): an engine that is broken into can open other files of its user`,
            "lsm=landlock,… on the kernel's command line, from Linux 5.13 on",
          ),
  ]
}

/** Which swtpm a user or script gets that says just "swtpm". */
export function onPath(): Check {
  const add = `export PATH=${programFolder()}:$PATH`
  const { first, others, none } = programsIn(process.env.PATH ?? '', PROGRAMS)
  if (others.length > 0)
    return warning('path', `${list(others)} in PATH before this program, and of another swtpm`, add)
  if (none.length > 0) return warning('path', `${list(none)} in no folder of PATH`, add)
  return ok('path', `${first} is this program, and first in PATH`)
}

/** `a, b and c are`, `a is` */
const list = (names: readonly string[]): string =>
  names.length === 1
    ? `${names[0]} is`
    : `${names.slice(0, -1).join(', ')} and ${names[names.length - 1]} are`

export interface FoundPrograms {
  /** Where the first of them is. */
  readonly first: string | undefined
  /** Paths of programs that are not ours, and come before ours. */
  readonly others: readonly string[]
  /** Names that are in no folder. */
  readonly none: readonly string[]
}

export function programsIn(path: string, names: readonly string[]): FoundPrograms {
  const found = names.map((name) => programIn(path, name))
  return {
    first: found[0],
    others: found.filter((each) => each !== undefined).filter((each) => !isOurs(each)),
    none: names.filter((_, at) => found[at] === undefined),
  }
}

/** The folder of this installation that has dist/; undefined where it is not whole. */
function home(): string | undefined {
  try {
    return realpathSync(dirname(dirname(installedFile('dist/swtpm.main.js', REMEDIES.programs.command))))
  } catch {
    return undefined
  }
}

/** Installed, the programs are in PREFIX/bin, and what they consist of is in PREFIX/lib/swtpm. */
const programFolder = (): string => {
  const root = home() ?? '/usr/local/lib/swtpm'
  return root.endsWith('/lib/swtpm') ? join(root, '../../bin') : join(root, 'bin')
}

/** Whether a program is a link into this installation, or the installed file of it. */
export function isOurs(path: string): boolean {
  try {
    const real = realpathSync(path)
    const root = home()
    return (
      root !== undefined &&
      (real.startsWith(`${root}/`) || realpathSync(join(dirname(real), '../lib/swtpm')) === root)
    )
  } catch {
    return false
  }
}
