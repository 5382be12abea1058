/** A place to make TPMs in, with a CA of its own, and our swtpm_setup run in it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { completeCa } from '../../src/programs/swtpm_localca/create-ca.ts'
import { bin, REFERENCE_SWTPM, temporaryDirectory } from '../support/swtpm.ts'

/** The programs that serve the TPMs that are made: ours, and the reference's where it is installed. */
export const TPMS = [bin('swtpm'), REFERENCE_SWTPM].filter((program) => existsSync(program))

/** A folder with a configuration of its own: a CA, options, and a place for the state. */
export interface Site {
  readonly folder: string
  readonly state: string
  readonly config: string
  readonly ca: string
  /** Where temporary files go: other setups may be running on this machine. */
  readonly temporary: string
}

export function site(t: TestContext, tool = bin('swtpm_localca')): Site {
  const folder = temporaryDirectory(t)
  const [state, ca, config] = [join(folder, 'state'), join(folder, 'ca'), join(folder, 'swtpm_setup.conf')]
  const temporary = join(folder, 'tmp')
  mkdirSync(state)
  mkdirSync(temporary)
  const lines = (...all: string[]): string => all.map((line) => `${line}\n`).join('')
  writeFileSync(
    config,
    lines(
      `create_certs_tool = ${tool}`,
      `create_certs_tool_config = ${folder}/swtpm-localca.conf`,
      `create_certs_tool_options = ${folder}/swtpm-localca.options`,
    ),
  )
  writeFileSync(
    join(folder, 'swtpm-localca.conf'),
    lines(
      `statedir = ${ca}`,
      `signingkey = ${ca}/signkey.pem`,
      `issuercert = ${ca}/issuercert.pem`,
      `certserial = ${ca}/certserial`,
    ),
  )
  writeFileSync(
    join(folder, 'swtpm-localca.options'),
    lines('--platform-manufacturer "Free Software"', '--platform-version 2.1', '--platform-model QEMU'),
  )
  return { folder, state, ca, config, temporary }
}

/** Of a setup. One that hangs is killed before the runner of the tests loses patience, so that the test can say what it printed. */
const LIMIT_MS = 100_000

let modelCa: string | undefined

/** Making a CA takes longer than all else that a setup does, so each place gets a copy of one. */
function giveCa({ ca }: Site): void {
  if (existsSync(ca)) return
  if (modelCa === undefined) {
    const folder = mkdtempSync(join(tmpdir(), 'swtpm-model-ca.'))
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
    const [signingKey, issuerCert] = [join(folder, 'signkey.pem'), join(folder, 'issuercert.pem')]
    completeCa({ signingKey, issuerCert, signingKeyPassword: undefined, rootKeyPassword: undefined })
    modelCa = folder
  }
  cpSync(modelCa, ca, { recursive: true })
}

export interface Result {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export function setup(
  where: Site,
  program: string,
  args: readonly string[],
  stdio: number[] = [],
  environment: Readonly<Record<string, string>> = {},
): Result {
  if (args.some((arg) => /^--create-(ek|platform)-cert$/.test(arg))) giveCa(where)
  const { status, stdout, stderr } = spawnSync(
    bin('swtpm_setup'),
    ['--tpm', `${program} socket`, '--tpm-state', where.state, '--config', where.config, ...args],
    {
      ...{ encoding: 'utf8', timeout: LIMIT_MS, killSignal: 'SIGKILL' },
      stdio: ['ignore', 'pipe', 'pipe', ...stdio],
      env: { ...process.env, TMPDIR: where.temporary, ...environment },
    },
  )
  return { status, stdout, stderr }
}

export function setUp(where: Site, program: string, ...args: string[]): Result {
  const result = setup(where, program, args)
  assert.equal(result.status, 0, `${result.stderr}${result.stdout}`)
  return result
}

/** A file that was made there. */
export const der = (where: Site, name: string): Buffer => readFileSync(join(where.folder, name))

/** What is in a folder, but for the lock. */
export function contentOf(folder: string): Map<string, string> {
  const names = readdirSync(folder).filter((name) => name !== '.lock')
  return new Map(names.sort().map((name) => [name, readFileSync(join(folder, name), 'hex')]))
}

export function assertRefused({ status, stderr }: Result, expected: RegExp): void {
  assert.equal(status, 1, stderr)
  assert.match(stderr, expected)
}

/** A folder for --write-ek-cert-files. */
export function exportFolder(where: Site, name = 'exported'): string {
  const folder = join(where.folder, name)
  mkdirSync(folder)
  return folder
}
