/** The half of a run that needs a kernel with the devices, and a clock that counts instructions. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { projectRoot } from '../support/swtpm.ts'
import {
  COMMANDS,
  cancellation,
  GET_RANDOM,
  GET_RANDOM_RARELY,
  type MeasuredCommand,
  NV_WRITE,
  verbs,
} from './commands.ts'
import { type Contestant, OURS, type Transport } from './contestants.ts'
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
      ...(reference === undefined ? [] : ['--share', directoryOf(reference)]),
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

const directoryOf = (path: string): string => (statSync(path).isDirectory() ? path : dirname(path))

/** Inside: prints the results. */
export async function runJob({ quick, reference, onlyRecorded }: GuestJob): Promise<void> {
  const results: PlacedLatency[] = []
  const measure = async (
    transport: Transport,
    commands: readonly MeasuredCommand[],
    options: { stateRoot?: string; rounds?: number; only?: readonly Contestant[] } = {},
  ): Promise<void> => {
    results.push(
      ...(await measurePlaced({
        // Times repeat so well that more rounds tell nothing more.
        ...{ transport, reference, place: 'vm', pin: false, rounds: 1, stateRoot: '/tmp/tmpfs' },
        commands: commands.map(inLongBatches),
        progress: (what) => console.error(`  · ${what}`),
        ...options,
      })),
    )
  }
  if (onlyRecorded) {
    for (const transport of ['unix', 'cuse'] as const) {
      await measure(transport, [GET_RANDOM], { only: [OURS] })
      await measure(transport, [GET_RANDOM_RARELY], { rounds: 5, only: [OURS] })
    }
  } else if (quick) {
    await measure('unix', [GET_RANDOM, NV_WRITE])
    await measure('cuse', [GET_RANDOM, NV_WRITE])
    await measure('tpm', [GET_RANDOM])
  } else {
    const short = COMMANDS.filter(({ name }) => THROUGH_THE_DRIVER.includes(name))
    await measure('unix', COMMANDS)
    await measure('cuse', COMMANDS)
    await measure('cuse', verbs('ioctl'))
    await measure('cuse', [cancellation('ioctl')], { rounds: 20 })
    await measure('tpm', short)
    await measure(
      'tpmrm',
      short.filter(({ tpm }) => tpm === '2'),
    )
    await measure('cuse', [NV_WRITE], { stateRoot: mountExt4() })
  }
  console.log(`${MARK}${JSON.stringify(results)}`)
}

/**
 * When client and server have slept, neither preempts the other until it is a millisecond of processor time behind, which
 * takes a hundred short commands or more. From then on a client runs as soon as its answer is there, and each command takes
 * another, constant time: that of a client that keeps asking.
 */
function inLongBatches(command: MeasuredCommand): MeasuredCommand {
  const { batch, perBatch } = command
  return perBatch < 100 || batch.pauseUs ? command : { ...command, perBatch: 1000 }
}

/** Enough where the driver's looking once a millisecond leaves little to see of the TPM. */
const THROUGH_THE_DRIVER = ['GetRandom', 'PCR_Extend', 'Extend', 'NV_Write']

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
