/** The GitHub Action: its steps, run as GitHub runs them, with a swtpm that is there already. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { projectRoot } from '../support/swtpm.ts'

const ACTION = join(projectRoot, 'packaging/github-action')
const text = readFileSync(join(ACTION, 'action.yml'), 'utf8')
const work = mkdtempSync(join(tmpdir(), 'swtpm-action-'))
after(() => rmSync(work, { recursive: true, force: true }))

interface Step {
  readonly env: readonly (readonly [variable: string, input: string])[]
  readonly run: string
}

/** What there is of YAML in this file: mappings by their indentation, and one list. */
const inputs = new Map(
  [
    ...(/^inputs:\n((?: .*\n)*)/m.exec(text)?.[1] ?? '').matchAll(
      /^ {2}([\w-]+):\n(?: {4}.*\n)* {4}default: (.*)$/gm,
    ),
  ].map(([, name = '', value = '']) => [name, value.replace(/^'(.*)'$/, '$1')] as const),
)
const steps: readonly Step[] = text
  .split(/^ {4}- /m)
  .slice(1)
  .map((step) => ({
    env: [...step.matchAll(/^ {8}(\w+): \$\{\{ inputs\.([\w-]+) \}\}$/gm)].map(
      ([, variable = '', input = '']) => [variable, input] as const,
    ),
    run: /^ {6}run: (.*)$/m.exec(step)?.[1] ?? '',
  }))

/** All steps, as with these inputs. */
function act(given: Readonly<Record<string, string>>) {
  const values = new Map([...inputs, ['package', ''], ...Object.entries(given)])
  let printed = ''
  for (const { env, run } of steps) {
    const { status, stdout, stderr } = spawnSync(
      'bash',
      ['--noprofile', '--norc', '-eo', 'pipefail', '-c', run],
      {
        encoding: 'utf8',
        env: {
          ...process.env,
          PATH: `${join(projectRoot, 'bin')}:${process.env.PATH}`,
          GITHUB_ACTION_PATH: ACTION,
          ...Object.fromEntries(env.map(([variable, input]) => [variable, values.get(input)])),
        },
      },
    )
    printed += `${stdout}${stderr}`
    if (status !== 0) return { status, printed }
  }
  return { status: 0, printed }
}

describe('the GitHub Action', () => {
  it('hands each input to one step', () => {
    assert.deepEqual(
      steps.flatMap(({ env }) => env.map(([, input]) => input)).sort(),
      [...inputs.keys()].sort(),
    )
    for (const { run } of steps) assert.match(run, /^\$GITHUB_ACTION_PATH\/\w+\.sh$/)
  })

  it('documents each input', () => {
    const readme = readFileSync(join(ACTION, 'README.md'), 'utf8')
    for (const name of inputs.keys()) assert.ok(readme.includes(`\n| ${name} |`), name)
  })

  it('runs commands with a TPM, and fails with the first that fails', () => {
    const { status, printed } = act({ run: 'tpm2_getrandom --hex 8\necho\necho "version $0"' })
    assert.equal(status, 0, printed)
    assert.match(printed, /^[0-9a-f]{16}\nversion/)
    assert.equal(act({ run: 'false\ntrue' }).status, 1)
  })

  it('keeps a state with certificates, and makes faults', () => {
    const state = join(work, 'state')
    const { status, printed } = act({
      run: 'tpm2_getcap handles-nv-index\n! tpm2_getrandom --hex 8 2>&1\n! tpm2_pcrread sha256:0 2>&1',
      state,
      'with-ek-cert': 'true',
      fault: 'GetRandom: rc=FAILURE\n\nPCR_Read: rc=FAILURE\n',
    })
    assert.equal(status, 0, printed)
    assert.match(printed, /0x1C00002/i)
    assert.ok(readdirSync(state).includes('tpm2-00.permall'))
  })

  it('makes a TPM 1.2', () => {
    const { status, printed } = act({
      run: 'swtpm_bios -n --cs --tcp "127.0.0.1:$TCSD_TCP_DEVICE_PORT"',
      'tpm-version': '1.2',
    })
    assert.equal(status, 0, printed)
  })

  it('installs nothing when it is told so, and runs nothing without commands', () => {
    assert.deepEqual(act({}), { status: 0, printed: '' })
  })

  it('says which input is wrong', () => {
    const wrong = (given: Readonly<Record<string, string>>) => act({ run: 'true', ...given }).printed
    assert.match(wrong({ 'tpm-version': '3' }), /^::error title=swtpm::tpm-version is "3"/)
    assert.match(wrong({ device: 'yes' }), /device is "yes", and has to be true or false/)
    assert.match(wrong({ fault: 'no such rule' }), /no such rule/)
  })
})
