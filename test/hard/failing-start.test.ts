/**
 * Every call with which a program starts fails once: the program ends with a sentence that says what failed and why, on standard
 * error and in the log file, or does without, and leaves nothing behind.
 *
 * The short form lets each call site fail in one of the ways that it can, the long form (npm run test:hard) every call in all.
 */
import { execFileSync } from 'node:child_process'
import { chownSync, cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { noCompiler } from '../support/compilers.ts'
import { suiteCleanup } from '../support/suite.ts'
import { bin, type SocketTpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import {
  type Call,
  callsOf,
  checkFailure,
  errnosOf,
  type StartLine,
  siteOf,
} from './support/failing-start.ts'
import { figure, long, seed } from './support/scale.ts'

const isRoot = process.getuid?.() === 0
/** More than there are processors: a program that starts also waits. */
const AT_ONCE = 2 * availableParallelism()

const state = (directory: string): string => join(directory, 'state')
const makeState = (directory: string): void => mkdirSync(state(directory))

/** All that `swtpm socket` can open. */
const everything = (directory: string): string[] => [
  ...['socket', '--tpm2', '--flags', 'startup-clear', '--tpmstate', `dir=${state(directory)}`],
  ...['--ctrl', `type=unixio,path=${directory}/control,mode=0660`],
  ...['--server', `type=unixio,path=${directory}/data`, '--pid', `file=${directory}/pid`],
  ...['--log', `file=${directory}/log`, '--key', `file=${directory}/key`, '--pcap', `file=${directory}/pcap`],
]

const STATE_FILES = String.raw`state(/(\.lock|tpm2-00\.\w+))?`
const leaves = (...more: string[]): RegExp => new RegExp(`^(tmp|${[STATE_FILES, ...more].join('|')})$`)

const prepareAll = (directory: string): void => {
  makeState(directory)
  writeFileSync(join(directory, 'key'), '00'.repeat(16))
}
/** As root, sockets for others too. */
const owned = (words: readonly string[]): string[] =>
  words.map((word) => (isRoot ? word.replace('mode=0660', 'mode=0660,uid=1,gid=1') : word))
const ALL = {
  prepare: prepareAll,
  ends: 'SHUTDOWN',
  log: 'log',
  leaves: leaves('log', 'key', 'pcap'),
  code: 'socket',
} as const

/** In a new root directory, as a user without an account, with state in a file. */
const IN_JAIL: StartLine = {
  title: 'swtpm socket --chroot --runas',
  code: 'socket',
  program: 'swtpm',
  args: (directory) => [
    ...['socket', '--tpm2', '--flags', 'startup-clear', '--chroot', directory, '--runas', '54321'],
    ...['--tpmstate', 'backend-uri=file:///linear,lock', '--ctrl', 'type=unixio,path=/control'],
    ...['--server', 'type=tcp,port=0', '--pid', 'file=/pid', '--log', 'file=/log'],
  ],
  prepare: (directory) => chownSync(directory, 54321, 54321),
  ends: 'SHUTDOWN',
  log: 'log',
  leaves: /^(tmp|linear|log)$/,
}

const ABOUT_THE_TPM = [
  ...['--tpm-manufacturer', 'id:00001014', '--tpm-model', 'swtpm', '--tpm-version', 'id:20191023'],
  ...['--tpm-spec-family', '2.0', '--tpm-spec-level', '0', '--tpm-spec-revision', '164'],
]
const MODULUS = `c${'1'.repeat(511)}`

/** What the lines below use: a TPM that is served, and a CA. */
let shared: SocketTpm
let authority: string
const ca = (): string => join(authority, 'ca')

function writeCaConfig(place: string): void {
  const files = ['signingkey = signkey.pem', 'issuercert = issuercert.pem', 'certserial = certserial']
  const lines = [`statedir = ${place}/ca`, ...files.map((line) => line.replace('= ', `= ${place}/ca/`))]
  writeFileSync(join(place, 'conf'), `${lines.join('\n')}\nsigningkey_password = secret\n`)
  writeFileSync(join(place, 'options'), '--platform-manufacturer a --platform-version 1 --platform-model b\n')
}

function prepareCa(place: string): void {
  writeCaConfig(place)
  cpSync(ca(), join(place, 'ca'), { recursive: true })
}

/** Has swtpm_localca make one, which takes longer than all that it does later. */
function makeAuthority(place: string): string {
  writeCaConfig(place)
  const files = ['--configfile', join(place, 'conf'), '--optsfile', join(place, 'options')]
  execFileSync(bin('swtpm_localca'), [
    '--type',
    'ek',
    '--ek',
    MODULUS,
    '--dir',
    place,
    '--tpm2',
    ...ABOUT_THE_TPM,
    ...files,
  ])
  return place
}

const LINES: readonly StartLine[] = [
  { title: 'swtpm socket', program: 'swtpm', args: (place) => owned(everything(place)), ...ALL },
  {
    title: 'swtpm socket --daemon',
    program: 'swtpm',
    args: (place) => [...everything(place), '--daemon'],
    ...ALL,
  },
  ...(isRoot ? [IN_JAIL] : []),
  {
    title: 'swtpm chardev',
    sample: 10,
    program: 'swtpm',
    args: (place) => ['chardev', ...everything(place).slice(1, 8), '--fd', '3', '--log', `file=${place}/log`],
    prepare: makeState,
    connection: true,
    ends: 'SHUTDOWN',
    log: 'log',
    leaves: leaves('log'),
  },
  {
    title: 'swtpm fleet',
    sample: 15,
    program: 'swtpm',
    args: (place) => [
      ...['fleet', '--ctrl', `type=unixio,path=${place}/fleet`, '--tpms', `${place}/tpms`],
      ...['--log', `file=${place}/log`, '--pid', `file=${place}/pid`],
    ],
    prepare(place) {
      makeState(place)
      writeFileSync(join(place, 'tpms'), `one: ${everything(place).slice(0, 10).join(' ')}`)
    },
    ends: 'SIGTERM',
    log: 'log',
    leaves: leaves('log', 'tpms'),
  },
  ...['--print-states', '--print-capabilities', '--print-info=1'].map(
    (option): StartLine => ({
      title: `swtpm socket ${option}`,
      code: 'print',
      program: 'swtpm',
      args: (place) => [
        'socket',
        '--tpm2',
        option,
        '--tpmstate',
        `dir=${state(place)}`,
        '--log',
        `file=${place}/log`,
      ],
      prepare: makeState,
      log: 'log',
      leaves: leaves('log'),
    }),
  ),
  {
    title: 'swtpm cdi',
    program: 'swtpm',
    args: (place) => ['cdi', 'write', '--name', 'a', '--device', '/dev/null', '--dir', `${place}/cdi`],
    leaves: /^(tmp|cdi(\/swtpm\.internal-tpm_a\.json)?)$/,
  },
  {
    title: 'swtpm_ioctl',
    program: 'swtpm_ioctl',
    args: (place) => ['--unix', shared.controlPath, '--save', 'permanent', `${place}/saved`],
    leaves: /^(tmp|saved)$/,
  },
  {
    title: 'swtpm_bios',
    program: 'swtpm_bios',
    args: () => ['--tpm2', '--unix', shared.dataPath, '-n', '--cs'],
    leaves: /^tmp$/,
  },
  {
    title: 'swtpm_cert',
    program: 'swtpm_cert',
    args: (place) => [
      ...[
        '--signkey',
        `${ca()}/signkey.pem`,
        '--issuercert',
        `${ca()}/issuercert.pem`,
        '--tpm2',
        '--modulus',
        MODULUS,
      ],
      ...['--signkey-pwd', `file:${place}/password`, '--out-cert', `${place}/cert`, ...ABOUT_THE_TPM],
    ],
    prepare: (place) => writeFileSync(join(place, 'password'), 'secret'),
    leaves: /^(tmp|password|cert)$/,
  },
  {
    title: 'swtpm_localca',
    sample: 8,
    program: 'swtpm_localca',
    args: (place) => [
      ...['--type', 'ek', '--ek', MODULUS, '--dir', place, '--tpm2', '--vmid', 'vm', ...ABOUT_THE_TPM],
      ...['--configfile', `${place}/conf`, '--optsfile', `${place}/options`, '--logfile', `${place}/log`],
    ],
    prepare: prepareCa,
    log: 'log',
    leaves: /^(tmp|conf|options|log|ek\.cert|ca(\/[\w.-]+)?)$/,
  },
  {
    title: 'swtpm_setup',
    sample: 8,
    program: 'swtpm_setup',
    args: (place) => [
      ...[
        '--tpm2',
        '--tpmstate',
        state(place),
        '--config',
        `${place}/setup.conf`,
        '--logfile',
        `${place}/log`,
      ],
      ...[
        '--keyfile',
        `${place}/key`,
        '--pcr-banks',
        'sha256',
        ...(long ? ['--create-ek-cert', '--write-ek-cert-files', place] : []),
      ],
    ],
    prepare(place) {
      prepareAll(place)
      prepareCa(place)
      writeFileSync(
        join(place, 'setup.conf'),
        [`create_certs_tool_config = ${place}/conf`, `create_certs_tool_options = ${place}/options`].join(
          '\n',
        ),
      )
    },
    log: 'log',
    leaves: leaves('key', 'log', String.raw`setup\.conf|conf|options|ca(/[\w.-]+)?|[\w-]+\.crt`),
  },
]

describe('a start of which one call fails', { skip: noCompiler() }, () => {
  const cleanup = suiteCleanup()
  let root: string
  let number = 0
  const directory = (): string => join(root, String(++number))
  before(async () => {
    root = temporaryDirectory(cleanup)
    authority = makeAuthority(temporaryDirectory(cleanup))
    shared = await startSocketTpm(cleanup)
  })

  /** Those of short form are of different sites; those of later lines that earlier ones have had are left out. */
  const seen = new Set<string>()
  for (const line of LINES) {
    it(line.title, async (t) => {
      const place = directory()
      const calls = (await callsOf(line, place)).filter((call) => errnosOf(call).length > 0)
      const all = calls.flatMap((call) => {
        const site = siteOf(line, call, place)
        if (!long && seen.has(site)) return []
        seen.add(site)
        const errnos = errnosOf(call)
        return (long ? errnos : [errnos[random() % errnos.length]!]).map((errno) => ({
          call: moved(call, place),
          errno,
        }))
      })
      const cases = long || line.sample === undefined ? all : shuffled(all).slice(0, line.sample)
      const failures: Error[] = []
      await inTurns(cases, async ({ call, errno }) => {
        const own = directory()
        try {
          await checkFailure(line, { ...call, path: call.path.replace('@', own) }, errno, own)
        } catch (error) {
          failures.push(error as Error)
        }
      })
      t.diagnostic(`${cases.length} calls, seed ${seed}`)
      figure(`${line.title}: calls that fail at the start`, `${cases.length}`)
      if (failures.length > 0)
        throw new Error(
          `${failures.length} of ${cases.length} starts, seed ${seed}:\n${failures.map(({ message }) => message).join('\n\n')}`,
        )
    })
  }
})

/** The directory of the recording is another one than that of the failing start. */
const moved = (call: Call, place: string): Call => ({ ...call, path: call.path.replace(place, '@') })

/** A linear congruential generator. @see Numerical Recipes, 7.1 */
let last = seed
function random(): number {
  last = (Math.imul(last, 1664525) + 1013904223) >>> 0
  return last >>> 16
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => [random(), item] as const)
    .sort(([a], [b]) => a - b)
    .map(([, item]) => item)
}

async function inTurns<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values()
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const item of waiting) await work(item)
    }),
  )
}
