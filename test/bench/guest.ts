/** The half of a run that needs a kernel with the devices, and a clock that counts instructions. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { projectRoot } from '../support/swtpm.ts'
import { COMMANDS, cancellation, GET_RANDOM, GET_RANDOM_RARELY, NV_WRITE, verbs } from './commands.ts'
import { OURS } from './contestants.ts'
import { measurePlaced } from './plan.ts'
import type { PlacedLatency } from './results.ts'

export interface GuestJob {
  readonly quick: boolean
  readonly reference: string | undefined
  /** Only our GetRandom, for the comparison with recorded figures. */
  readonly onlyRecorded?: boolean
}

/** main.js with this before a {@link GuestJob} is {@link runJob}. */
export const IN_GUEST = '--in-guest'

const MARK = 'results: '

/** Boots the machine and has it measure. */
export async function measureInGuest(job: GuestJob): Promise<PlacedLatency[]> {
  const reference = job.reference === undefined ? undefined : resolve(job.reference)
  const machine = spawn(
    process.execPath,
    [
      ...[join(projectRoot, 'scripts/vm/run.mjs'), '--icount', '--timeout', '1800'],
      // The guest's /tmp is its own.
      ...(reference === undefined ? [] : ['--share', reference]),
      ...['--', process.execPath, join(projectRoot, 'build/test/bench/main.js'), IN_GUEST],
      JSON.stringify({ ...job, reference }),
    ],
    { cwd: projectRoot, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let stdout = ''
  machine.stdout?.on('data', (chunk) => {
    stdout += chunk
  })
  const [status] = await once(machine, 'close')
  if (status !== 0) throw new Error(`the virtual machine ended with ${status}`)
  const line = stdout.split('\n').find((text) => text.startsWith(MARK))
  if (line === undefined) throw new Error(`the virtual machine gave no results: ${stdout}`)
  return JSON.parse(line.slice(MARK.length))
}

/** Inside: prints the results. */
export async function runJob({ quick, reference, onlyRecorded }: GuestJob): Promise<void> {
  const common = {
    place: 'vm',
    pin: false,
    reference,
    progress: (what: string) => console.error(`  · ${what}`),
  } as const
  const tmpfs = { ...common, stateRoot: '/tmp/tmpfs' }
  if (onlyRecorded) {
    const only = { ...tmpfs, commands: [GET_RANDOM, GET_RANDOM_RARELY], rounds: 5, only: [OURS] }
    return print([
      ...(await measurePlaced({ ...only, transport: 'unix' })),
      ...(await measurePlaced({ ...only, transport: 'cuse' })),
    ])
  }
  // Times repeat so well that more rounds tell nothing more.
  const rounds = 1
  if (quick) {
    const commands = [GET_RANDOM, NV_WRITE]
    return print([
      ...(await measurePlaced({ ...tmpfs, transport: 'unix', commands, rounds })),
      ...(await measurePlaced({ ...tmpfs, transport: 'cuse', commands, rounds })),
      ...(await measurePlaced({ ...tmpfs, transport: 'tpm', commands: [GET_RANDOM], rounds })),
    ])
  }
  const commands = COMMANDS
  const results = [
    ...(await measurePlaced({ ...tmpfs, transport: 'unix', commands, rounds })),
    ...(await measurePlaced({ ...tmpfs, transport: 'cuse', commands, rounds })),
    ...(await measurePlaced({ ...tmpfs, transport: 'cuse', commands: verbs('ioctl'), rounds })),
    ...(await measurePlaced({ ...tmpfs, transport: 'cuse', commands: [cancellation('ioctl')], rounds })),
    ...(await measurePlaced({ ...tmpfs, transport: 'tpm', commands: COMMANDS.filter(isShort), rounds })),
    ...(await measurePlaced({ ...tmpfs, transport: 'tpmrm', commands: COMMANDS.filter(isShort), rounds })),
    ...(await measurePlaced({
      ...common,
      stateRoot: mountExt4(),
      transport: 'cuse',
      commands: [NV_WRITE],
      rounds,
    })),
  ]
  print(results)
}

/** What the 1 ms between the driver's looks leaves anything to see of. */
const isShort = ({ name }: { name: string }): boolean =>
  ['GetRandom', 'PCR_Extend', 'Extend', 'NV_Write'].includes(name)

const print = (results: readonly PlacedLatency[]): void => console.log(`${MARK}${JSON.stringify(results)}`)

/** An ext4 file system in a file in memory: what its code costs, and no disk. */
function mountExt4(): string {
  const directory = '/tmp/ext4'
  const image = '/tmp/ext4.img'
  mkdirSync(directory, { recursive: true })
  execFileSync('truncate', ['--size=128M', image])
  execFileSync('mkfs.ext4', ['-q', image], { env: { PATH: `/usr/sbin:/sbin:${process.env.PATH}` } })
  execFileSync('mount', ['-o', 'loop', image, directory])
  return directory
}
