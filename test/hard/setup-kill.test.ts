/**
 * swtpm_setup is killed before each call with which it changes a file: what was there is there unchanged, or the new TPM is
 * complete. The run after that goes on from there and leaves nothing of the killed one.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { type Site, setUp, site } from '../interop/setup-site.ts'
import { noCompiler } from '../support/compilers.ts'
import { bin, startSocketTpm } from '../support/swtpm.ts'
import { waitFor } from '../support/wait.ts'
import { killLibrary } from './support/preload.ts'
import { figure, long } from './support/scale.ts'

/** Quick ones: what is tested does not depend on the algorithm. */
const KEYS = ['--ek1keyalgo', 'secp256r1', '--ek2keyalgo', 'secp256r1']

interface Scenario {
  readonly name: string
  readonly backend: 'dir' | 'linear'
  /** Makes what is there before. */
  readonly before: readonly string[] | undefined
  /** What is killed. */
  readonly args: readonly string[]
}

const certificates = ['--tpm2', '--create-ek-cert', ...KEYS]
const plain = ['--tpm2', '--createek', ...KEYS]
const SCENARIOS: readonly Scenario[] = [
  { name: 'a first TPM, certificates', backend: 'dir', before: undefined, args: certificates },
  {
    name: 'another TPM, certificates',
    backend: 'dir',
    before: plain,
    args: [...certificates, '--overwrite'],
  },
  { name: 'a first TPM', backend: 'linear', before: undefined, args: plain },
  { name: 'another TPM', backend: 'linear', before: plain, args: [...plain, '--overwrite'] },
  ...(long
    ? ([
        { name: 'a first TPM', backend: 'dir', before: undefined, args: plain },
        { name: 'a TPM 2.0 for a TPM 1.2', backend: 'dir', before: [], args: [...plain, '--overwrite'] },
        {
          name: 'a TPM 1.2 for a TPM 2.0',
          backend: 'dir',
          before: plain,
          args: ['--createek', '--overwrite'],
        },
        {
          name: 'other PCR banks',
          backend: 'dir',
          before: plain,
          args: ['--tpm2', '--reconfigure', '--pcr-banks=sha1'],
        },
        { name: 'a first TPM, certificates', backend: 'linear', before: undefined, args: certificates },
        {
          name: 'another TPM, certificates',
          backend: 'linear',
          before: plain,
          args: [...certificates, '--overwrite'],
        },
        {
          name: 'other PCR banks',
          backend: 'linear',
          before: plain,
          args: ['--tpm2', '--reconfigure', '--pcr-banks=sha1'],
        },
      ] as const)
    : []),
]

/** Files that a TPM may have beside its permanent state; what is in them does not matter here. */
const COMPANIONS = [
  'tpm2-00.volatilestate',
  'tpm2-00.savestate',
  'tpm2-00.permall.bak',
  'tpm2-00.permall.journal',
]

type Files = ReadonlyMap<string, string>

class Place {
  readonly #scenario: Scenario
  readonly #site: Site
  readonly #library: string
  /** Where the files of the state are. */
  readonly #folder: string
  readonly #before: Files

  constructor(t: TestContext, scenario: Scenario) {
    this.#scenario = scenario
    const where = site(t)
    const tool = join(where.folder, 'tool')
    const findFolder = 'while [ "$1" != --dir ]; do shift; done'
    writeFileSync(tool, `#!/bin/sh\n${findFolder}\necho certificate > "$2/ek.cert"\n`, { mode: 0o755 })
    writeFileSync(where.config, `create_certs_tool = ${tool}\n`)
    this.#folder = where.state
    this.#site =
      scenario.backend === 'dir' ? where : { ...where, state: `file://${join(where.state, 'state')}` }
    this.#library = killLibrary()
    if (scenario.before !== undefined) {
      setUp(this.#site, bin('swtpm'), ...scenario.before)
      // With these a TPM does not start.
      if (scenario.backend === 'dir' && !scenario.args.includes('--reconfigure')) {
        for (const name of COMPANIONS) writeFileSync(join(this.#folder, name), name)
      }
    }
    this.#before = this.#files()
  }

  /** Everything but the folders that swtpm_setup works in, and the lock. */
  #files(): Files {
    const names = readdirSync(this.#folder).filter((name) => name !== '.lock' && !isWorkplace(name))
    const describe = (name: string): string => {
      const path = join(this.#folder, name)
      return `${statSync(path).mode.toString(8)} ${readFileSync(path, 'hex')}`
    }
    return new Map(names.sort().map((name) => [name, describe(name)]))
  }

  reset(): void {
    rmSync(this.#folder, { recursive: true })
    mkdirSync(this.#folder)
    for (const [name, text] of this.#before) {
      const [mode = '', content = ''] = text.split(' ')
      writeFileSync(join(this.#folder, name), Buffer.from(content, 'hex'), {
        mode: Number.parseInt(mode, 8) & 0o777,
      })
    }
  }

  /** @param at undefined: not at all @returns the calls up to there */
  killed(at: number | undefined): string[] {
    const log = join(this.#site.folder, 'calls')
    rmSync(log, { force: true })
    const { folder, config, state, temporary } = this.#site
    const command = [
      bin('swtpm_setup'),
      '--tpm-state',
      state,
      '--config',
      config,
      '--logfile',
      join(folder, 'log'),
    ]
    const { status, signal } = spawnSync(process.execPath, [...command, ...this.#scenario.args], {
      stdio: 'ignore',
      env: {
        ...process.env,
        ...{ TMPDIR: temporary, LD_PRELOAD: this.#library, KILL_SHIM_LOG: log },
        ...(at === undefined ? {} : { KILL_SHIM_AT: String(at) }),
      },
    })
    if (at === undefined) assert.equal(status, 0, readFileSync(join(folder, 'log'), 'utf8'))
    else assert.equal(signal, 'SIGKILL')
    return readFileSync(log, 'utf8').trimEnd().split('\n')
  }

  /** @returns whether the new TPM is there @throws AssertionError when it is neither the old nor the new one */
  isReplaced(): boolean {
    const files = this.#files()
    try {
      assert.deepEqual(files, this.#before)
      return false
    } catch (error) {
      const state = this.#scenario.backend === 'linear' ? 'state' : /\.permall$/
      const changed = [...files].filter(([name, text]) => this.#before.get(name) !== text)
      if (changed.length !== 1 || changed[0]?.[0].match(state) === null) throw error
      return true
    }
  }

  /** A run that wants a TPM to be there, and its keys. */
  checkAfterwards(replaced: boolean): void {
    const { args, before } = this.#scenario
    const isThere = replaced || before !== undefined
    const isOld = isThere && !replaced
    const wanted = isOld ? before! : this.#scenario.args.includes('--reconfigure') ? before! : args
    const rest = wanted.filter((arg) => arg !== '--overwrite')
    const folder = join(this.#site.folder, 'exported')
    mkdirSync(folder)
    const { stdout } = setUp(
      this.#site,
      bin('swtpm'),
      ...rest,
      '--not-overwrite',
      '--write-ek-cert-files',
      folder,
    )
    assert.match(stdout, isThere ? /Not overwriting/ : /Successfully authored/)
    assert.deepEqual(readdirSync(this.#folder).filter(isWorkplace), [], 'what a killed run left is removed')
    assert.deepEqual(readdirSync(this.#site.temporary), [])
    if (isOld) assert.deepEqual(this.#files(), this.#before)
    else assert.deepEqual([...this.#files().keys()], [this.#nameOf(wanted)], 'nothing of the old TPM is left')
    this.#checkKeys(readdirSync(folder), wanted, isThere)
    rmSync(folder, { recursive: true })
  }

  #nameOf(args: readonly string[]): string {
    if (this.#scenario.backend === 'linear') return 'state'
    return args.includes('--tpm2') ? 'tpm2-00.permall' : 'tpm-00.permall'
  }

  /** The TPM that is there starts and has its key and its certificate. */
  #checkKeys(exported: string[], args: readonly string[], isThere: boolean): void {
    const name = args.includes('--tpm2') ? 'ek-secp256r1' : 'ek-rsa2048'
    const keys = isThere && args.some((arg) => arg === '--createek' || arg === '--create-ek-cert')
    const certificates = args.includes('--create-ek-cert')
    assert.deepEqual(exported, [...(certificates ? [`${name}.crt`] : []), ...(keys ? [`${name}.pub`] : [])])
  }

  /** The next that locks the state is no setup, but swtpm. */
  async checkStart(t: TestContext): Promise<void> {
    const flags = ['--tpm2', '--flags', 'not-need-init,startup-clear']
    const { swtpm, dataPath, controlPath } = await startSocketTpm(t, flags, { directory: this.#folder })
    const own = [basename(controlPath), basename(dataPath), '.lock']
    await waitFor(
      () => readdirSync(this.#folder).every((name) => [...own, 'tpm2-00.permall'].includes(name)),
      {
        what: 'the end of what is left of the old TPM',
      },
    )
    await swtpm.stop()
  }
}

const isWorkplace = (name: string): boolean => name.startsWith('.swtpm_setup.')

/** Which calls to be killed before: all, or some of those around the step that puts the new TPM in place. */
function pointsIn(calls: readonly string[]): number[] {
  const all = calls.map((_, at) => at)
  const step = stepIn(calls)
  return long ? all : [Math.floor(step / 2), step, step + 1]
}

/** The call that puts the new TPM in place. */
function stepIn(calls: readonly string[]): number {
  const step = calls.findLastIndex((call) => /^(rename|link) .*(permall|state)$/.test(call))
  assert.ok(step > 0, calls.join('\n'))
  return step
}

describe('swtpm_setup killed before a call', { skip: noCompiler() }, () => {
  for (const scenario of SCENARIOS) {
    it(`${scenario.name}, ${scenario.backend}`, async (t) => {
      const place = new Place(t, scenario)
      place.reset()
      const calls = place.killed(undefined)
      const points = pointsIn(calls)
      let replaced = 0
      for (const at of points) {
        place.reset()
        place.killed(at)
        const isNew = place.isReplaced()
        if (isNew) replaced++
        // The run after it takes as long as this.
        if (long || at === points[0] || at === points.at(-1)) place.checkAfterwards(isNew)
      }
      if (scenario.backend === 'dir' && scenario.before !== undefined) {
        place.reset()
        place.killed(stepIn(calls) + 1)
        if (scenario.args.includes('--tpm2')) await place.checkStart(t)
      }
      assert.ok(replaced > 0 && replaced < points.length, 'some before the step, some after it')
      figure(`Kill swtpm_setup: ${scenario.name}, ${scenario.backend}`, `${points.length} points`)
    })
  }
})
