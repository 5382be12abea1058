/** `--behind` and recordings with the kernel's driver on both sides. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { type ProxyTpm, startProxyTpm } from '../support/proxy-tpm.ts'
import { projectRoot, Swtpm, temporaryDirectory, untilReady } from '../support/swtpm.ts'
import { useWithTools } from '../support/tool-session.ts'
import { tpm2Tools } from '../support/tools.ts'

/** A device of the kernel's proxy driver without a state of ours. */
async function startBehind(t: TestContext, behind: string, args: readonly string[] = []): Promise<ProxyTpm> {
  const swtpm = new Swtpm(
    ['chardev', '--vtpm-proxy', '--tpm2', '--ready-fd', '3', '--behind', behind, ...args],
    { stdio: ['pipe'] },
  )
  t.after(() => swtpm.stop('SIGKILL'))
  await untilReady(swtpm)
  const number = Number(/\/dev\/tpm(\d+)/.exec(swtpm.stdout)?.[1])
  return {
    ...{ swtpm, number, directory: '', path: `/dev/tpm${number}` },
    resourceManagerPath: `/dev/tpmrm${number}`,
  }
}

suite('--behind device:', () => {
  test('another TPM of the kernel, by tpm2-tools through the resource manager of ours', async (t) => {
    const other = await startProxyTpm(t)
    const { resourceManagerPath } = await startBehind(t, `device:${other.path}`)
    await useWithTools(`device:${resourceManagerPath}`, temporaryDirectory(t), false)
  })

  test('a bit that is flipped in a response under an HMAC session is noticed', async (t) => {
    const other = await startProxyTpm(t)
    const fault = ['--fault', 'CreatePrimary: flip=random', '--fault-seed', '1']
    const { resourceManagerPath, swtpm } = await startBehind(t, `device:${other.path}`, fault)
    const context = join(temporaryDirectory(t), 'primary')
    await assert.rejects(tpm2Tools(`device:${resourceManagerPath}`)('createprimary', '-Q', '-c', context))
    assert.match(swtpm.stderr, /struck CreatePrimary/)
  })

  test('a device that is in use is an error at the start; one that goes is FAILURE and a line in the log', async (t) => {
    const other = await startProxyTpm(t)
    const { path, swtpm } = await startBehind(t, `device:${other.path}`)
    const second = new Swtpm([
      'socket',
      '--tpm2',
      '--behind',
      `device:${other.path}`,
      '--ctrl',
      'type=tcp,port=1',
    ])
    assert.equal(await second.exited, 1)
    assert.match(second.stderr, /Cannot use the TPM "\/dev\/tpm\d+": another program has it open/)
    await other.swtpm.stop()
    await assert.rejects(tpm2Tools(`device:${path}`)('getrandom', '8'), /0x101|0x00000101/)
    assert.match(swtpm.stderr, /Cannot use the TPM "[^"]+": .*; commands are answered FAILURE/)
  })
})

suite('a recorded boot', () => {
  test('plays to the same kernel: the same log, the same sysfs, and nothing that it has no response to', async (t) => {
    const file = join(temporaryDirectory(t), 'boot.tpmrec')
    const before = kernelLog().length
    const recorded = await startProxyTpm(t, ['--tpm2', '--record', file])
    const sysfs = sysfsOf(recorded.number)
    const said = kernelLog().slice(before)
    assert.equal(await recorded.swtpm.stop(), 0)
    const middle = kernelLog().length
    const played = await startBehind(t, `recording:${file}`)
    assert.deepEqual(sysfsOf(played.number), sysfs)
    assert.deepEqual(kernelLog().slice(middle), said)
    await played.swtpm.stop()
    assert.match(played.swtpm.stderr, /, 0 were answered by else=FAILURE/)
  })

  test('a recording that is kept, and edited by hand, is a TPM with another PCR', async (t) => {
    const edited = join(temporaryDirectory(t), 'edited.tpmrec')
    const kept = readFileSync(join(projectRoot, 'test/vectors/recordings/boot-6.12.tpmrec'), 'utf8')
    writeFileSync(edited, kept.replace(/(000000010020)0{64}/, `$1${'ab'.repeat(32)}`))
    const { number, swtpm } = await startBehind(t, `recording:${edited},fast`)
    const pcr = readFileSync(`/sys/class/tpm/tpm${number}/pcr-sha256/7`, 'latin1')
    assert.equal(pcr.trim(), 'AB'.repeat(32))
    await swtpm.stop()
  })
})

suite('swtpm record', () => {
  test('a command on a device of ours before another one; what it asked is replayed to a third', async (t) => {
    const other = await startProxyTpm(t)
    const file = join(temporaryDirectory(t), 'r.tpmrec')
    const words = ['--behind', `device:${other.path}`, '-o', file, '--']
    const recorded = new Swtpm([
      'record',
      ...words,
      'sh',
      '-c',
      'test -c $TPM_DEVICE && tpm2_pcrread sha256:0 && exit 3',
    ])
    assert.equal(await recorded.exited, 3, recorded.stderr)
    assert.match(recorded.stdout, /0 : 0x0{64}/)
    const third = await startProxyTpm(t)
    const replayed = new Swtpm(['replay', '--to', `device:${third.path}`, '--diff', file])
    assert.equal(await replayed.exited, 0, replayed.stdout + replayed.stderr)
    assert.match(replayed.stdout, / 0 differently/)
  })
})

/** Without times and the number of the device. */
const kernelLog = (): string[] =>
  execFileSync('dmesg', { encoding: 'utf8' })
    .split('\n')
    .filter((line) => /tpm/i.test(line))
    .map((line) => line.replace(/^\[[^\]]*\] /, '').replaceAll(/tpm(rm)?\d+/g, 'tpm$1N'))

/** What the driver has found out: name of the file → content. */
function sysfsOf(number: number): Map<string, string> {
  const found = new Map<string, string>()
  const look = (directory: string, under: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name)
      const name = `${under}${entry.name}`
      if (entry.isDirectory() && entry.name.startsWith('pcr-')) look(path, `${name}/`)
      else if (entry.isFile() && entry.name !== 'uevent' && entry.name !== 'dev')
        found.set(name, readFileSync(path, 'latin1'))
    }
  }
  look(`/sys/class/tpm/tpm${number}`, '')
  return found
}
