/** An upgrade of the installation under a swtpm that runs: its program is in several files, and one of them may not have been read yet. */
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { startFleet } from '../support/fleet.ts'
import { descendants, nameOf, replaceEngine } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { type Cleanup, projectRoot, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const NATIVE = 'native/build/Release'

interface Installation {
  readonly program: string
  /** As an upgrade does: other files, none of the old ones. @param main the program's first file, of what it was */
  upgrade(main: (before: string) => string): void
}

/** A copy of the programs, as they lie in the tree. */
function installation(t: Cleanup): Installation {
  const root = temporaryDirectory(t)
  const dist = join(root, 'dist')
  mkdirSync(join(root, NATIVE), { recursive: true })
  for (const name of ['swtpm', 'tpm-engine', 'swtpm_native.node'])
    cpSync(join(projectRoot, NATIVE, name), join(root, NATIVE, name))
  cpSync(join(projectRoot, 'dist'), dist, { recursive: true, filter: (name) => !name.endsWith('.map') })
  return {
    program: join(root, NATIVE, 'swtpm'),
    upgrade(main) {
      const first = join(dist, 'swtpm.main.js')
      writeFileSync(`${first}.new`, main(readFileSync(first, 'utf8')))
      for (const name of readdirSync(dist))
        if (/^swtpm\.(later|.*cache$)/.test(name)) {
          if (name.endsWith('.js')) cpSync(join(dist, name), join(dist, newName(name)))
          rmSync(join(dist, name))
        }
      renameSync(`${first}.new`, first)
    },
  }
}

/** The second file has a digest in its name. */
const newName = (name: string): string => name.replace(/later\.\w+/, 'later.UPGRADED')
const upgraded = newName
const broken = (): string => "throw new Error('of another version')\n"

async function getRandom(dataPath: string): Promise<number | undefined> {
  const client = await RawConnection.open(dataPath)
  client.write(TPM2.getRandom())
  const code = responseCode(await client.readResponse())
  client.close()
  return code
}

async function getConfig(controlPath: string): Promise<number> {
  const control = await RawConnection.open(controlPath)
  control.write(CMD.GET_CONFIG)
  const result = (await control.read(8)).readUInt32BE()
  control.close()
  return result
}

describe('an upgrade', () => {
  it('under a supervisor that is awake: it has all that it needs', async (t) => {
    const { program, upgrade } = installation(t)
    const { swtpm, dataPath, controlPath } = await startSocketTpm(t, undefined, {
      program,
      env: { SWTPM_REST_MS: 'never' },
    })
    assert.equal(await getRandom(dataPath), 0)
    upgrade(broken)
    assert.equal(await getConfig(controlPath), 0)
    await replaceEngine(swtpm.pid)
    assert.equal(await getRandom(dataPath), 0)
    assert.equal(await getConfig(controlPath), 0)
    assert.equal(await swtpm.stop(), 0, swtpm.stderr)
    assert.doesNotMatch(swtpm.stderr, /Error|another version/)
  })

  it('under a fleet: TPMs that it is given later have everything, too', async (t) => {
    const { program, upgrade } = installation(t)
    const wrapper = ['/bin/sh', '-c', `shift; exec '${program}' "$@"`, 'sh']
    const fleet = await startFleet(t, { tpms: ['a'], wrapper })
    upgrade(broken)
    const b = fleet.describe('b')
    const trace = join(fleet.directory, 'trace')
    const words = [...b.words, '--trace', trace, '--fault', 'GetRandom#1: rc=RETRY']
    const { code, stderr } = await fleet.run('add', 'b', '--', ...words)
    assert.equal(code, 0, stderr)
    assert.equal(await getRandom(b.data), 0x922)
    assert.equal(await getRandom(b.data), 0)
    assert.equal(await getRandom(fleet.describe('a').data), 0)
    await waitFor(() => readFileSync(trace, 'utf8').includes('GetRandom'), { what: 'the trace' })
    assert.equal(await fleet.swtpm.stop(), 0, fleet.swtpm.stderr)
  })

  it('under a supervisor at rest: the next one is of the new files', async (t) => {
    const { program, upgrade } = installation(t)
    const { swtpm, dataPath, controlPath } = await startSocketTpm(t, undefined, {
      program,
      env: { SWTPM_REST_MS: '0' },
    })
    const rests = (): boolean => !descendants(swtpm.pid).some((pid) => nameOf(pid) === 'node')
    await waitFor(rests, { what: 'its rest' })
    upgrade(upgraded)
    assert.equal(await getConfig(controlPath), 0)
    await waitFor(rests, { what: 'its rest' })
    await replaceEngine(swtpm.pid)
    assert.equal(await getRandom(dataPath), 0)
    assert.equal(await swtpm.stop(), 0, swtpm.stderr)
  })
})
