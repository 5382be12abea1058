/** What a command line of `swtpm ktest` asks for. */
import { statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { choiceHint } from '../../../system/did-you-mean.ts'
import { workingDirectory } from '../../../system/surroundings.ts'
import type { GivenOptions } from '../../common/options/given-options.ts'
import { UsageError } from '../../common/options/usage-error.ts'
import type { KTEST_OPTIONS } from './ktest-options.ts'
import { isSplatClass, SPLAT_CLASSES, type SplatClass } from './splat-classes.ts'
import { SELFTESTS } from './suite/selftests.ts'
import { SUITE_NAMES } from './suite/suite-names.ts'
import { type TpmDescription, tpmDescriptions } from './tpm-description.ts'

export interface KtestSettings {
  readonly command: readonly string[]
  /** In place of the command: a name, or the path of a module. */
  readonly suite: string | undefined
  /** Undefined: the first that there is. */
  readonly kernel: string | undefined
  readonly modules: string | undefined
  readonly ownModules: readonly string[]
  /** Modules that are loaded where the kernel has them. */
  readonly wantedModules: readonly string[]
  readonly kernelArguments: string
  readonly waitsForDebugger: boolean
  readonly tpms: readonly TpmDescription[]
  readonly hasMemoryRoot: boolean
  readonly with: readonly string[]
  readonly shares: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cpus: number
  readonly countsInstructions: boolean
  readonly failOn: readonly SplatClass[]
  readonly timeoutMs: number | undefined
  readonly out: string | undefined
}

type Given = GivenOptions<typeof KTEST_OPTIONS>

/** @throws UsageError */
export function ktestSettings(given: Given, command: readonly string[]): KtestSettings {
  const suite = suiteNamed(given.text('suite'), given.text('kernel'))
  if (suite !== undefined) refuseWithSuite(given, command)
  else if (command.length === 0)
    throw new UsageError('Missing the command that the guest is to run, behind "--": swtpm ktest -- ls /dev')
  const hasMemoryRoot = given.text('root') === 'memory'
  if (given.has('with') && !hasMemoryRoot)
    throw new UsageError(
      '--with is for --root memory: otherwise the guest sees all files of this host',
      'with',
    )
  if (given.has('share') && hasMemoryRoot)
    throw new UsageError(
      '--share needs --root host: a directory of this host does not outlast a suspend',
      'share',
    )
  return {
    command,
    suite,
    kernel: given.text('kernel'),
    modules: given.text('modules'),
    ownModules: given.all('module').map(absolute),
    wantedModules: [],
    kernelArguments: given.all('cmdline').join(' '),
    waitsForDebugger: given.has('gdb'),
    tpms: tpmDescriptions(given.all('tpm')),
    hasMemoryRoot,
    with: given.all('with'),
    shares: given.all('share').map(absolute),
    env: Object.fromEntries(given.all('env').map(assignment)),
    cpus: number(given, 'cpus') ?? 1,
    countsInstructions: given.has('icount'),
    failOn: given.all('fail-on').flatMap((list) => list.split(',').map(splatClass)),
    timeoutMs: scaled(number(given, 'timeout'), 1000),
    out: given.text('out'),
  }
}

/** @returns a name, or a path */
function suiteNamed(word: string | undefined, kernel: string | undefined): string | undefined {
  if (word === undefined || word === 'driver') return word
  if (word === 'selftests') return join(treeOf(kernel), SELFTESTS)
  if (/\.m?js$/.test(word)) return absolute(word)
  throw new UsageError(
    `--suite: "${word}" is none of ${SUITE_NAMES.join(', ')}, and no FILE.mjs${choiceHint(word, SUITE_NAMES)}`,
    'suite',
  )
}

/** The tests of a kernel come with its source. */
function treeOf(kernel: string | undefined): string {
  const tree = kernel === undefined ? undefined : absolute(kernel)
  if (tree !== undefined && statSync(tree, { throwIfNoEntry: false })?.isDirectory()) return tree
  throw new UsageError(
    `--suite selftests: the tests are in the tree of a kernel: --kernel DIR, where Linux was built${kernel === undefined ? '' : `; "${kernel}" is none`}`,
    'suite',
  )
}

/** A suite brings its own TPMs and commands. */
function refuseWithSuite(given: Given, command: readonly string[]): void {
  if (command.length > 0) throw new UsageError('--suite is in place of a command', 'suite')
  const other = (['tpm', 'root', 'with', 'out', 'fail-on', 'timeout', 'gdb'] as const).find((name) =>
    given.has(name),
  )
  if (other !== undefined)
    throw new UsageError(`--${other} is for a command of yours, and not for --suite`, other)
}

const absolute = (path: string): string => resolve(workingDirectory() ?? '/', path)

const scaled = (value: number | undefined, factor: number): number | undefined =>
  value === undefined ? undefined : value * factor

function number(given: Given, name: 'cpus' | 'timeout'): number | undefined {
  const text = given.text(name)
  if (text === undefined) return undefined
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new UsageError(`--${name}: "${text}" is no number from 1 on`, name)
  return Number(text)
}

function assignment(text: string): [string, string] {
  const [, name, value] = /^([A-Za-z_]\w*)=(.*)$/s.exec(text) ?? []
  if (name === undefined) throw new UsageError(`--env: "${text}" is not NAME=VALUE`, 'env')
  return [name, value ?? '']
}

function splatClass(word: string): SplatClass {
  if (isSplatClass(word)) return word
  throw new UsageError(
    `--fail-on: "${word}" is none of ${SPLAT_CLASSES.join(', ')}${choiceHint(word, SPLAT_CLASSES)}`,
    'fail-on',
  )
}
