/**
 * Picks kernel modules and what they depend on out of an unpacked kernel package, an installed kernel or a build tree.
 *
 * A package carries no modules.dep (depmod makes it at installation), so the dependencies are read from the modules
 * themselves: each names them in its .modinfo section.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { outputOf } from './host-program.ts'
import { MachineFault } from './machine-fault.ts'

export interface Module {
  readonly name: string
  readonly data: Buffer
}

export interface WantedModules {
  /** The kernel must have these, built in or as modules. */
  readonly required: readonly string[]
  /** These too, where it has them. */
  readonly wanted?: readonly string[]
  /** Files that take the place of the kernel's module of that name, or are loaded in addition. */
  readonly own?: readonly string[]
}

/** Which configuration option gives a kernel what is called so as a module. */
const OPTIONS: Readonly<Record<string, string>> = {
  virtio_pci: 'VIRTIO_PCI',
  virtio_console: 'VIRTIO_CONSOLE',
  '9pnet_virtio': 'NET_9P_VIRTIO',
  '9p': '9P_FS',
  overlay: 'OVERLAY_FS',
  cuse: 'CUSE',
  tpm_vtpm_proxy: 'TCG_VTPM_PROXY',
  tpm_tis: 'TCG_TIS',
  tpm_crb: 'TCG_CRB',
}

/** What only a build tree has. */
const OF_TREE = 'include/config/kernel.release'
const PACKED = /\.ko(\.(xz|zst|gz))?$/

/**
 * @param modulesDir /lib/modules/RELEASE or a build tree; undefined: the kernel has all it needs built in
 * @returns in the order in which they can be loaded; those built into the kernel are left out
 * @throws MachineFault naming the configuration option that the kernel lacks
 */
export function collectModules(
  modulesDir: string | undefined,
  { required, wanted = [], own = [] }: WantedModules,
): Module[] {
  const ownFiles = new Map(own.map((file) => [moduleName(file), file]))
  const available = new Map([...(modulesDir === undefined ? [] : index(modulesDir)), ...ownFiles])
  const builtin = modulesDir === undefined ? undefined : builtinModules(modulesDir)
  const collected = new Map<string, Module>()

  const collect = (name: string, isRequired: boolean): void => {
    const file = available.get(name)
    if (collected.has(name) || (file === undefined && (builtin === undefined || builtin.has(name)))) return
    if (file === undefined) {
      if (isRequired) throw missing(name, modulesDir)
      return
    }
    const data = readModule(file)
    for (const dependency of dependencies(data)) collect(dependency, true)
    collected.set(name, { name, data })
  }
  for (const name of required) collect(name, true)
  for (const name of wanted) collect(name, false)
  for (const name of ownFiles.keys()) collect(name, true)
  return [...collected.values()]
}

function missing(name: string, modulesDir: string | undefined): MachineFault {
  const option = OPTIONS[name]
  return new MachineFault(
    `The kernel has no "${name}": it is not built in, and no module in "${modulesDir}"`,
    {
      hint:
        option === undefined
          ? 'Build that module, or name the directory that has it with --modules'
          : `Build the kernel with CONFIG_${option}=y or =m; for =m, name its modules with --modules DIR`,
    },
  )
}

/** Module name to path. */
function index(modulesDir: string): Map<string, string> {
  // A build tree is large: it says itself where its modules are.
  if (existsSync(join(modulesDir, OF_TREE)))
    return named(linesOf(join(modulesDir, 'modules.order')).map((line) => join(modulesDir, moduleFile(line))))
  const folders = ['kernel', 'updates', 'extra'].map((name) => join(modulesDir, name))
  const there = folders.filter((folder) => existsSync(folder))
  return named((there.length > 0 ? there : [modulesDir]).flatMap(filesBelow))
}

/** Newer trees name what a module is made of. */
const moduleFile = (line: string): string => line.replace(/\.o$/, '.ko')

const linesOf = (file: string): string[] =>
  existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []

const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true }).map((entry) => join(folder, String(entry)))

const named = (files: readonly string[]): Map<string, string> =>
  new Map(files.filter((file) => PACKED.test(file)).map((file) => [moduleName(file), file]))

/** @returns undefined where there is no list: then what is no module is taken to be built in */
function builtinModules(modulesDir: string): ReadonlySet<string> | undefined {
  const list = join(modulesDir, 'modules.builtin')
  if (!existsSync(list)) return undefined
  return new Set(linesOf(list).map((line) => moduleName(moduleFile(line))))
}

/** A file may spell with "-" what the module's name spells with "_". */
const moduleName = (file: string): string => basename(file).replace(PACKED, '').replaceAll('-', '_')

function readModule(file: string): Buffer {
  if (file.endsWith('.xz')) return outputOf('xz', ['-dc', file])
  if (file.endsWith('.zst')) return outputOf('zstd', ['-dcq', file])
  return file.endsWith('.gz') ? outputOf('gzip', ['-dc', file]) : readFileSync(file)
}

function dependencies(data: Buffer): string[] {
  const key = 'depends='
  const start = data.indexOf(`\0${key}`) + 1
  if (start === 0) return []
  const list = data.toString('latin1', start + key.length, data.indexOf(0, start))
  return list.split(',').filter(Boolean).map(moduleName)
}
