/** The TPMs that run, by their processes: a keeper is called swtpm, and has an engine or Node as its child. */
import type { TpmVersion } from '../../../../contract/engine-options.ts'
import { isInterface, parseCommandLine } from '../../../command-line/parse/parse-command-line.ts'
import type { ControlEndpoint, DataEndpoint, SwtpmConfig } from '../../../serve/config.ts'
import type { Process } from './processes.ts'

export interface RunningTpm {
  readonly pid: number
  readonly uid: number
  /** Socket, chardev, cuse; `library`: made by `swtpm run` or another program. */
  readonly interface?: string
  readonly version?: '2.0' | '1.2'
  /** `awake`: Node runs; `rest`: keeper and engine alone. */
  readonly activity?: 'awake' | 'rest'
  /** Process id of its engine. */
  readonly engine?: number
  /** Where its commands come from. */
  readonly address?: string
  readonly control?: string
  /** As it was given: a relative path begins where the process was started. */
  readonly state?: string
  readonly insecureSeed?: number
  /** Name in its fleet, whose process this is. */
  readonly name?: string
  /** What is to be known besides. */
  readonly remark?: string
}

export interface Fleet {
  readonly pid: number
  readonly uid: number
  readonly words: readonly string[]
}

export interface Found {
  readonly tpms: readonly RunningTpm[]
  readonly fleets: readonly Fleet[]
  /** Processes called swtpm that are not of this kind: the C program's. */
  readonly others: readonly Process[]
}

const KEEPERS: ReadonlySet<string> = new Set(['swtpm', 'swtpm_cuse'])
const ENGINE = 'tpm-engine'
const SPAWNER = 'tpm-spawner'

/** @param uid whose; undefined: of all users */
export function findTpms(processes: readonly Process[], uid: number | undefined): Found {
  const children = groupByParent(processes)
  const childrenOf = ({ pid }: Process): readonly Process[] => children.get(pid) ?? []
  const byPid = new Map(processes.map((each) => [each.pid, each]))
  const mine = (each: Process): boolean => uid === undefined || each.uid === uid
  const tpms: RunningTpm[] = []
  const fleets: Fleet[] = []
  const others: Process[] = []
  for (const keeper of processes.filter((each) => KEEPERS.has(each.name) && mine(each))) {
    const below = childrenOf(keeper)
    // The first of two processes of a start, which waits for the second.
    if (below.some(({ name }) => KEEPERS.has(name))) continue
    const words = wordsOf(keeper)
    const engine = below.find(({ name }) => name === ENGINE)
    const node = below.find(({ name }) => name !== ENGINE && name !== SPAWNER)
    if (engine === undefined && node === undefined) others.push(keeper)
    else if (words[0] === 'fleet') fleets.push({ pid: keeper.pid, uid: keeper.uid, words: words.slice(1) })
    else
      tpms.push({
        ...ofKeeper(keeper, words),
        activity: node === undefined ? 'rest' : 'awake',
        ...(engine && { engine: engine.pid }),
      })
  }
  for (const spawner of processes.filter((each) => each.name === SPAWNER && mine(each))) {
    const owner = byPid.get(spawner.parent)
    const above = owner && byPid.get(owner.parent)
    // A fleet tells of its members itself.
    if (owner === undefined || KEEPERS.has(owner.name) || (above !== undefined && KEEPERS.has(above.name)))
      continue
    for (const engine of childrenOf(spawner).filter(({ name }) => name === ENGINE))
      tpms.push({
        pid: owner.pid,
        uid: owner.uid,
        interface: 'library',
        engine: engine.pid,
        remark: `of the program ${owner.name}`,
      })
  }
  return { tpms, fleets, others }
}

function groupByParent(processes: readonly Process[]): Map<number, Process[]> {
  const groups = new Map<number, Process[]>()
  for (const each of processes) groups.set(each.parent, [...(groups.get(each.parent) ?? []), each])
  return groups
}

/** What stands behind `swtpm`; the program swtpm_cuse is `swtpm cuse`. */
const wordsOf = ({ words: [program = '', ...rest] }: Process): string[] =>
  /(^|\/)swtpm_cuse$/.test(program) ? ['cuse', ...rest] : rest

function ofKeeper({ pid, uid }: Process, [word, ...rest]: readonly string[]): RunningTpm {
  const tpm = { pid, uid, ...(isInterface(word) && { interface: word }) }
  try {
    if (!isInterface(word)) return tpm
    const config = parseCommandLine(rest, {}, word)
    return config.action === 'run' ? { ...tpm, ...ofConfig(config) } : tpm
  } catch {
    // Of another release, or its state is named by its environment.
    return { ...tpm, remark: 'its command line does not say all' }
  }
}

function ofConfig(config: SwtpmConfig): Partial<RunningTpm> {
  const { state, tpmVersion, seedInsecure } = config
  const control = config.interface === 'cuse' ? undefined : config.control
  const address = addressOf(config)
  return {
    version: versionText(tpmVersion),
    ...(address !== undefined && { address }),
    ...(control && { control: endpointText(control) }),
    state: state.kind === 'dir' ? state.path : `file://${state.path}`,
    ...(seedInsecure !== undefined && { insecureSeed: seedInsecure }),
  }
}

const versionText = (version: TpmVersion): '2.0' | '1.2' => (version === '2' ? '2.0' : '1.2')

function addressOf(config: SwtpmConfig): string | undefined {
  switch (config.interface) {
    case 'socket':
      return config.server === undefined ? undefined : endpointText(config.server)
    case 'cuse':
      return `/dev/${config.name}`
    case 'chardev':
      switch (config.device.kind) {
        case 'path':
          return config.device.path
        case 'fd':
          return `descriptor ${config.device.fd}`
        case 'vtpm-proxy':
          // The kernel has chosen its number, and the start has printed it.
          return '/dev/tpmN'
      }
  }
}

function endpointText(endpoint: ControlEndpoint | DataEndpoint): string {
  switch (endpoint.kind) {
    case 'tcp':
      return `${endpoint.bindAddress.includes(':') ? `[${endpoint.bindAddress}]` : endpoint.bindAddress}:${endpoint.port}`
    case 'unix':
      return endpoint.path
    case 'fd':
      return `descriptor ${endpoint.fd}`
  }
}
