/** A command that swtpm itself answers with an error: the log says why, once for each reason. */
import assert from 'node:assert/strict'
import { chmodSync, closeSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { native } from '../../src/system/native/load.ts'
import { CMD } from '../support/control-commands.ts'
import { isListening } from '../support/listening.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { type Cleanup, Swtpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'

const NV_UNAVAILABLE = 0x923
const TPM_RC_RETRY = 0x922

/** A TPM with a client on both channels. */
async function start(t: Cleanup, args: readonly string[] = [], directory = temporaryDirectory(t)) {
  const [dataPath, controlPath] = [join(directory, 'data'), join(directory, 'control')]
  const swtpm = new Swtpm([
    // A journal would be open already when the directory cannot be written to any more.
    ...['socket', '--tpm2', '--tpmstate', `dir=${directory},journal=false`, ...args],
    ...['--server', `type=unixio,path=${dataPath}`, '--ctrl', `type=unixio,path=${controlPath}`],
  ])
  t.after(() => swtpm.stop('SIGKILL'))
  await swtpm.until(() => isListening(dataPath) && isListening(controlPath), 'it listens')
  const data = await RawConnection.open(dataPath)
  const control = await RawConnection.open(controlPath)
  t.after(() => {
    data.close()
    control.close()
  })
  let seen = 0
  return {
    swtpm,
    directory,
    async code(command: Uint8Array | string): Promise<number> {
      for (;;) {
        data.write(command)
        const code = responseCode(await data.readResponse())
        if (code !== TPM_RC_RETRY) return code
      }
    },
    async control(hex: string): Promise<number> {
      control.write(hex)
      return (await control.read(4)).readUInt32BE()
    },
    blob: async (type: number): Promise<void> => {
      control.write(`${CMD.GET_STATEBLOB} 00000001 0000000${type} 00000000`)
      const head = await control.read(20 - 4)
      await control.read(head.readUInt32BE(12))
    },
    /** Lines of the log since the last call. The engine's lines come in order, so a later answer is enough to wait for. */
    async lines(): Promise<string[]> {
      control.write(CMD.GET_CONFIG)
      await control.read(8)
      const text = swtpm.stderr.slice(seen)
      seen = swtpm.stderr.length
      // libtpms has lines of its own when it cannot store something.
      return text.split('\n').filter((line) => line.startsWith('swtpm: '))
    },
  }
}

/** One line, which matches. */
function single(lines: string[], pattern: RegExp): void {
  assert.equal(lines.length, 1, lines.join('\n'))
  assert.match(lines[0] as string, pattern)
}

const init = `${CMD.INIT} 00000000`

describe('why a command was not executed', () => {
  it('the TPM is off: no INIT, STOP, a failed INIT', async (t) => {
    const tpm = await start(t)
    // QEMU's questions for the version, before it sends INIT: nothing is wrong.
    for (const probe of ['8001 0000000a 00000181', '00c1 0000000a 000000f1'])
      assert.equal(await tpm.code(probe), 0x101)
    assert.deepEqual(await tpm.lines(), [])
    for (const _ of [1, 2, 3]) assert.equal(await tpm.code(TPM2.getRandom()), 0x101)
    single(
      await tpm.lines(),
      /: Cannot execute a TPM command \(answer 0x101\): the TPM has not been powered on; send INIT/,
    )
    for (const _ of [1, 2]) {
      assert.equal(await tpm.control(init), 0)
      assert.equal(await tpm.code(TPM2.startupClear), 0)
      assert.equal(await tpm.control(CMD.STOP), 0)
      assert.equal(await tpm.code(TPM2.getRandom()), 0x101)
      assert.equal(await tpm.code(TPM2.getRandom()), 0x101)
      single(await tpm.lines(), /\(answer 0x101\): the TPM was powered off by STOP; send INIT/)
    }
    writeFileSync(join(tpm.directory, 'tpm2-00.permall'), 'damaged')
    assert.equal(await tpm.control(init), 0x101)
    await tpm.lines()
    assert.equal(await tpm.code(TPM2.getRandom()), 0x101)
    assert.equal(await tpm.code(TPM2.getRandom()), 0x101)
    single(await tpm.lines(), /\(answer 0x101\): the TPM is off because the last INIT failed; mend/)
    assert.equal(await tpm.swtpm.stop(), 0)
  })

  it('it is no command, or one that is not allowed', async (t) => {
    const tpm = await start(t, ['--flags', 'startup-clear'])
    const long = Buffer.alloc(5000)
    TPM2.getRandom().copy(long)
    long.writeUInt32BE(5000, 2)
    const bad: [string, Uint8Array | string, number, RegExp][] = [
      ['short', '8001 0000', 0x142, /\(answer 0x142\): it has fewer bytes than the header/],
      ['cut off', '8001 00000020 00000144 0000', 0x142, /\(answer 0x142\): fewer bytes came within 500 ms/],
      ['long', long, 0x142, /\(answer 0x142\): it is longer than the 4096 bytes/],
      [
        'SetLocality',
        '8001 0000000b 20001000 01',
        0x101,
        /\(answer 0x101\): SetLocality is not allowed; start swtpm/,
      ],
    ]
    for (const [name, bytes, code, pattern] of bad) {
      for (const round of [1, 2]) {
        assert.equal(await tpm.code(bytes), code, name)
        if (round === 1) assert.equal(await tpm.code(bytes), code, name)
        const lines = (await tpm.lines()).filter(
          (line) => !/fewer bytes came/.test(line) || name === 'cut off',
        )
        single(lines, pattern)
        // It was fine in between.
        assert.equal(await tpm.code(TPM2.getRandom()), 0)
      }
    }
    assert.deepEqual(await tpm.lines(), [])
    await assertEnds(tpm.swtpm)
  })

  it('it cannot be stored: the cause once, too, and again after the disk has worked', async (t) => {
    const tpm = await start(t, ['--flags', 'startup-clear'])
    assert.equal(await tpm.code(TPM2.nvDefine()), 0)
    // What does not change is not stored.
    let number = 0
    const write = (): Buffer => TPM2.nvWrite(Buffer.alloc(32, ++number))
    for (const round of [1, 2]) {
      assert.equal(await tpm.code(write()), 0)
      chmodSync(tpm.directory, 0o555)
      for (const _ of [1, 2, 3]) {
        assert.equal(await tpm.code(write()), NV_UNAVAILABLE)
        assert.equal(await tpm.code(TPM2.getRandom()), 0)
      }
      chmodSync(tpm.directory, 0o755)
      const lines = await tpm.lines()
      assert.equal(lines.length, 2, lines.join('\n'))
      assert.match(lines[0] as string, /: Cannot create state file "TMP2-00.permall": /)
      assert.match(lines[1] as string, /\(answer 0x923\): what it changes cannot be stored/, `round ${round}`)
    }
    await assertEnds(tpm.swtpm)
  })

  it('the lock on its state is not held', async (t) => {
    const tpm = await start(t, ['--flags', 'startup-clear', '--migration', 'release-lock-outgoing'])
    for (const round of [1, 2]) {
      for (const type of [1, 2]) await tpm.blob(type)
      await tpm.blob(3)
      await tpm.lines()
      const fd = openSync(join(tpm.directory, '.lock'), 'r+')
      assert.ok(native.lockFile(fd) >= 0)
      // Commands then do not wait 3 s for the lock.
      assert.notEqual(await tpm.control(`${CMD.LOCK_STORAGE} 00000000`), 0)
      single(await tpm.lines(), /: Cannot lock state directory ".*": held by process/)
      for (const _ of [1, 2, 3]) assert.equal(await tpm.code(TPM2.getRandom()), 0x101)
      const lines = await tpm.lines()
      assert.equal(lines.length, 2, lines.join('\n'))
      assert.match(lines[0] as string, /: Cannot lock state directory ".*": held by process/)
      assert.match(
        lines[1] as string,
        /\(answer 0x101\): the lock on the TPM's state is not held/,
        `round ${round}`,
      )
      closeSync(fd)
      assert.equal(await tpm.code(TPM2.getRandom()), 0)
    }
    await assertEnds(tpm.swtpm)
  })
})

it('a control command that is cut off closes the connection, which the log says', async (t) => {
  const { swtpm, controlPath } = await startSocketTpm(t)
  for (const [bytes, name] of [
    [`${CMD.HASH_DATA} 00000010 0011`, 'HASH_DATA: only 10'],
    [`${CMD.INIT} 00`, 'INIT: only 5'],
    ['0000', '\\(cut off in its code\\): only 2'],
  ] as const) {
    const control = await RawConnection.open(controlPath)
    control.write(bytes)
    assert.equal((await control.readToEnd()).length, 0)
    control.close()
    assert.match(
      swtpm.stderr,
      new RegExp(`Cannot execute control command ${name} bytes of it came within 500 ms`),
    )
  }
  // The next client is served.
  const control = await RawConnection.open(controlPath)
  control.write(CMD.GET_CONFIG)
  assert.equal((await control.read(8)).readUInt32BE(), 0)
  control.close()
  await assertEnds(swtpm)
})

const assertEnds = async (swtpm: Swtpm): Promise<void> => assert.equal(await swtpm.stop(), 0, swtpm.stderr)
