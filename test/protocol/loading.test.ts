/** What `swtpm` loads when: a plain start little, and nothing after it has given up the sight of its files. */
import assert from 'node:assert/strict'
import { chownSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { it } from 'node:test'
import { RawConnection } from '../support/raw-connection.ts'
import { SECCOMP, Swtpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { TPM2 } from '../support/tpm-commands.ts'

const UID = 54_321
const notRoot = process.getuid?.() !== 0 && 'it takes root to change the root directory'

it('a plain start reads one file of the program, and no module of Node that takes long to load', async (t) => {
  const place = temporaryDirectory(t)
  const list = join(place, 'loaded.json')
  const observer = join(place, 'observer.cjs')
  writeFileSync(
    observer,
    `const before = new Set(process.moduleLoadList)
    process.once('exit', () => {
      const native = process.moduleLoadList.filter((name) => !before.has(name))
      require('node:fs').writeFileSync(process.env.LOADED_LIST, JSON.stringify([Object.keys(require.cache), native]))
    })`,
  )
  const node = `#!/bin/sh\nexec '${process.execPath}' --require '${observer}' "$@"\n`
  writeFileSync(join(place, 'node'), node, { mode: 0o755 })
  const PATH = `${place}:${process.env.PATH}`
  const { swtpm, dataPath } = await startSocketTpm(t, ['--tpm2', '--flags', 'startup-clear'], {
    env: { PATH, LOADED_LIST: list, SWTPM_REST_MS: 'never' },
  })
  const client = await RawConnection.open(dataPath)
  await client.exchange(TPM2.getRandom())
  client.close()
  assert.equal(await swtpm.stop(), 0, swtpm.stderr)
  const [files, modules]: [string[], string[]] = JSON.parse(readFileSync(list, 'utf8'))
  const own = files.map((file) => basename(file)).filter((file) => file !== basename(observer))
  assert.deepEqual(own.sort(), ['swtpm.js', 'swtpm.main.js', 'swtpm_native.node'])
  const slow = /^NativeModule (crypto|net|child_process|worker_threads|http|stream\/web)$/
  assert.deepEqual(
    modules.filter((name) => slow.test(name)),
    [],
  )
})

// Each alone: one brings what another needs.
const WHAT: readonly [name: string, file: string, args: readonly string[]][] = [
  ['--trace', 'trace.txt', ['--trace', '/trace.txt']],
  ['--pcap', 'a.pcapng', ['--pcap', 'file=/a.pcapng']],
  ['--record', 'a.tpmrec', ['--record', '/a.tpmrec']],
  ['--fault', 'log', ['--fault', 'GetRandom#1: rc=RETRY', '--log', 'file=/log,level=2']],
  ['--script', 'log', ['--script', '/rules.mjs', '--log', 'file=/log,level=2']],
  ['a log in JSON', 'log', ['--log', 'file=/log,format=json,level=2']],
]
for (const [name, file, args] of WHAT)
  it(`${name} works in a root directory without the program's files, as the user of --runas`, {
    skip: notRoot,
  }, async (t) => {
    const root = temporaryDirectory(t)
    chownSync(root, UID, UID)
    writeFileSync(join(root, 'rules.mjs'), "export default (tpm, { rc }) => tpm.on('GetRandom', rc('RETRY'))")
    const swtpm = new Swtpm([
      ...['socket', '--tpm2', '--flags', 'startup-clear', '--chroot', root, '--runas', String(UID)],
      ...['--tpmstate', 'dir=/', '--server', 'type=unixio,path=/data', '--pid', 'file=/pid'],
      ...SECCOMP,
      ...args,
    ])
    t.after(() => swtpm.stop('SIGKILL'))
    await swtpm.until(() => existsSync(join(root, 'pid')), 'its pid file')
    const client = await RawConnection.open(join(root, 'data'))
    await client.exchange(TPM2.getRandom())
    client.close()
    assert.equal(await swtpm.stop(), 0, swtpm.stderr)
    assert.ok(readFileSync(join(root, file)).length > 0)
  })
