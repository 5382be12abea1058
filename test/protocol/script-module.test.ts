/** `--script FILE.mjs`: a module of the user that decides about commands. */
import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { startFleet } from '../support/fleet.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { type Cleanup, type SocketTpm, Swtpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'

function module(t: Cleanup, text: string): string {
  const path = join(temporaryDirectory(t), 'script.mjs')
  writeFileSync(path, text)
  return path
}

async function start(t: Cleanup, path: string): Promise<SocketTpm & { data: RawConnection }> {
  const tpm = await startSocketTpm(t, ['--tpm2', '--flags', 'startup-clear', '--script', path])
  const data = await RawConnection.open(tpm.dataPath)
  t.after(() => data.close())
  return { ...tpm, data }
}

it('answers, alters, adds rules and logs, with the effects that it is given and modules of its own', async (t) => {
  const path = module(
    t,
    `import { LENGTH } from './length.mjs'
    export default async (tpm, { rc, shorten, set }) => {
      await null
      tpm.say(\`for a TPM \${tpm.version}\`)
      const busy = tpm.on('GetRandom', rc('RETRY'))
      tpm.fault('PCR_Extend: rc=FAILURE')
      tpm.on('PCR_Read#1', async (exchange, next) => (await next()).with(shorten(LENGTH)))
      tpm.on('PCR_Read#2', (exchange, next) => {
        busy[Symbol.dispose]()
        return next(exchange.with(set('pcrSelectionIn[0].hash', 12)))
      })
    }`,
  )
  writeFileSync(join(path, '../length.mjs'), 'export const LENGTH = 12\n')
  const { data, swtpm } = await start(t, path)
  assert.match(swtpm.stderr, /script\.mjs: for a TPM 2\n/)
  assert.equal(responseCode(await data.exchange(TPM2.getRandom())), 0x922)
  assert.equal(responseCode(await data.exchange(TPM2.pcrExtend(10, Buffer.alloc(32)))), 0x101)
  assert.equal((await data.exchange(TPM2.pcrRead(0))).length, 12)
  assert.match((await data.exchange(TPM2.pcrRead(0))).toString('hex'), /000c03010000/)
  assert.equal(responseCode(await data.exchange(TPM2.getRandom())), 0)
  assert.equal(await swtpm.stop(), 0)
  assert.match(swtpm.stderr, /fault 1 "PCR_Extend: rc=FAILURE" struck PCR_Extend/)
})

it('that only asks those below changes no byte', async (t) => {
  const path = module(t, "export default (tpm) => { tpm.on('*', (exchange, next) => next()) }")
  const commands = [
    ...[TPM2.getRandom(), TPM2.createPrimaryEcc, TPM2.readPublic(0x80000000), TPM2.startPolicySession],
    ...[
      TPM2.policyGetDigest(0x03000000),
      TPM2.pcrExtend(10, Buffer.alloc(32, 1)),
      TPM2.pcrRead(10),
      TPM2.nvDefine(),
    ],
    ...[TPM2.nvWrite(Buffer.alloc(32, 7)), TPM2.nvRead(), TPM2.getHandles(0x80000000), TPM2.getRandom(64)],
    // None that a TPM likes.
    ...[
      Buffer.from('80010000000a0000ffff', 'hex'),
      Buffer.from('8001000000ff0000017b', 'hex'),
      Buffer.from('00', 'hex'),
    ],
  ]
  const answers = async (words: readonly string[]): Promise<string[]> => {
    const flags = ['--tpm2', '--flags', 'startup-clear', '--seed-insecure', '1']
    const { dataPath } = await startSocketTpm(t, [...flags, ...words])
    const given: string[] = []
    const data = await RawConnection.open(dataPath)
    for (const command of commands) given.push((await data.exchange(command)).toString('hex'))
    data.close()
    return given
  }
  assert.deepEqual(await answers(['--script', path]), await answers([]))
})

it('that throws over a command has it answered FAILURE, and the log says where', async (t) => {
  const path = module(
    t,
    'export default (tpm) => {\n  tpm.on("GetRandom", () => { throw new Error("broken") })\n}\n',
  )
  const { data, swtpm } = await start(t, path)
  assert.equal(responseCode(await data.exchange(TPM2.getRandom())), 0x101)
  assert.equal(responseCode(await data.exchange(TPM2.pcrRead(0))), 0)
  await swtpm.until(() => /broken/.test(swtpm.stderr), 'it says so')
  assert.match(
    swtpm.stderr,
    /A responder \(.*script\.mjs, GetRandom\) failed over GetRandom \(no\. 1\).*: Error: broken\n.*script\.mjs:2:/,
  )
})

it('that cannot be used is no TPM', async (t) => {
  const directory = temporaryDirectory(t)
  const refused: [text: string, error: RegExp][] = [
    ['export default 1', /it has no function as its default export/],
    [
      'export default () => {\n  let = \n}',
      /Unexpected strict mode reserved word; node --check FILE says where/,
    ],
    ['export default () => {\n  throw new RangeError("no")\n}', /RangeError: no\n +at .*script\.mjs:2:9/],
    ['export default (tpm) => tpm.fault("GetRandm: rc=RETRY")', /column 1: no command "GetRandm"/],
    ['import "./nothing.mjs"', /nothing\.mjs/],
  ]
  const run = async (path: string): Promise<Swtpm> => {
    const words = ['socket', '--tpm2', '--tpmstate', `dir=${directory}`, '--port', '1', '--script', path]
    const swtpm = new Swtpm(words)
    t.after(() => swtpm.stop('SIGKILL'))
    assert.equal(await swtpm.exited, 1)
    assert.match(swtpm.stderr, /^swtpm: Cannot use the script ".*"/)
    return swtpm
  }
  for (const [text, error] of refused) assert.match((await run(module(t, text))).stderr, error)
  assert.match((await run(join(directory, 'none.mjs'))).stderr, /no such file or directory/)
  const writable = module(t, 'export default () => {}')
  chmodSync(writable, 0o666)
  assert.match((await run(writable)).stderr, /others may write to it: chmod go-w it/)
  const replaceable = module(t, 'export default () => {}')
  chmodSync(join(replaceable, '..'), 0o777)
  assert.match((await run(replaceable)).stderr, /in a directory of which other users may change the files/)
})

it('a TPM of a fleet has one, too, found from where the client is', async (t) => {
  const path = module(t, 'export default (tpm, { rc }) => { tpm.on("GetRandom", rc("TESTING")) }')
  const fleet = await startFleet(t)
  const directory = temporaryDirectory(t)
  const words = ['socket', '--tpm2', '--flags', 'startup-clear', '--tpmstate', `dir=${directory}`]
  const added = await fleet.run(
    'add',
    'a',
    '--',
    ...words,
    '--server',
    `type=unixio,path=${directory}/d`,
    '--script',
    path,
  )
  assert.equal(added.code, 0, added.stderr)
  const data = await RawConnection.open(`${directory}/d`)
  assert.equal(responseCode(await data.exchange(TPM2.getRandom())), 0x90a)
  data.close()
})
