/**
 * What a machine may lack, and the line that brings it: declared once, for the errors of all programs and for `swtpm doctor`. A line is for
 * a shell, and for root where it says so.
 */
import { readFileSync } from 'node:fs'
import { arch, release } from 'node:os'

export interface Remedy {
  readonly command: string
  readonly asRoot: boolean
}

const byRoot = (command: string): Remedy => ({ command, asRoot: true })
const byUser = (command: string): Remedy => ({ command, asRoot: false })

/** By the name of a Debian package. */
export const installPackage = (name: string): Remedy => byRoot(`apt-get install ${name}`)

export const REMEDIES = {
  /** The engine, the keeper and the addon. */
  nativeLayer: byUser('npm run build:native'),
  programs: byUser('npm run build'),
  /** What is in node_modules. */
  nodePackages: byUser('npm run setup'),
  installation: byRoot('npm run install:system'),
  libtpms: installPackage('libtpms0'),
  qemu: installPackage('qemu-system-x86'),
  busybox: installPackage('busybox-static'),
  openssl: installPackage('openssl'),
  packageLists: byRoot('apt-get update'),
  directory: (path: string): Remedy => byUser(`mkdir -p ${path}`),
  deviceNode: (path: string, major: number, minor: number): Remedy =>
    byRoot(`mknod ${path} c ${major} ${minor}`),
} as const

/** Modules of the kernel by which devices are made, and the option that a kernel is built with to have them. */
export const KERNEL_MODULES = {
  cuse: 'CONFIG_CUSE',
  fuse: 'CONFIG_FUSE_FS',
  tpm_vtpm_proxy: 'CONFIG_TCG_VTPM_PROXY',
} as const
export type KernelModule = keyof typeof KERNEL_MODULES

/**
 * `there`: loaded, or part of the kernel. `absent`: this kernel has been built without it. `unknown`: what belongs to this kernel is not
 * on this file system, as in a container.
 */
export type ModuleState = 'there' | 'loadable' | 'absent' | 'unknown'

/** @see modules.dep(5) */
export function moduleState(name: KernelModule): ModuleState {
  if (isIn('/proc/modules', new RegExp(`^${name} `, 'm'))) return 'there'
  const folder = `/lib/modules/${release()}`
  const file = new RegExp(`/${name.replaceAll('_', '[-_]')}\\.ko`)
  if (isIn(`${folder}/modules.builtin`, file)) return 'there'
  const dependencies = textOf(`${folder}/modules.dep`)
  if (dependencies === undefined) return 'unknown'
  return file.test(dependencies) ? 'loadable' : 'absent'
}

/** Why a device of the kernel is not there, as the end of a sentence, and what brings it. */
export function missingModule(name: KernelModule): { readonly reason: string; readonly remedy: Remedy } {
  const load = byRoot(`modprobe ${name}`)
  switch (moduleState(name)) {
    case 'absent':
      return {
        reason: `this kernel (${release()}) has been built without ${KERNEL_MODULES[name]}; Debian's has it`,
        remedy: installPackage(`linux-image-${arch() === 'x64' ? 'amd64' : arch()}`),
      }
    case 'unknown': {
      // Without /proc it cannot be told from a node that is missing.
      const what =
        textOf('/proc/misc') === undefined ? 'is not loaded, or its node is missing' : 'is not loaded'
      return {
        reason: `the module ${name} ${what}; in a container it is the host that loads it`,
        remedy: load,
      }
    }
    default:
      return { reason: `the module ${name} is not loaded`, remedy: load }
  }
}

const isIn = (path: string, pattern: RegExp): boolean => pattern.test(textOf(path) ?? '')

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
