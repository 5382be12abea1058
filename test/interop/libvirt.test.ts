/** libvirt's command lines, descriptors and ways to stop, for a TPM 2.0 with an encrypted state. */

import assert from 'node:assert/strict'
import { closeSync, existsSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { native } from '../../src/system/native/load.ts'
import { CMD } from '../support/control-commands.ts'
import { isListening } from '../support/listening.ts'
import { PYTHON } from '../support/python.ts'
import { bin, type Cleanup, Swtpm, temporaryDirectory } from '../support/swtpm.ts'
import { tool } from '../support/tools.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { VmmClient } from '../support/vmm-client.ts'
import { debians, ours, withoutDebiansTools } from './client-tool.ts'

interface Domain {
  readonly swtpm: Swtpm
  readonly socket: string
  readonly state: string
  readonly log: string
  readonly pidFile: string
}

/**
 * Does what libvirt's helper process does between fork() and exec(): opens and locks the pid file, writes its pid, keeps
 * the descriptor, puts a passphrase pipe on each of the numbers it names, and becomes swtpm.
 */
const LAUNCHER = `
import fcntl, os, sys
pidfile, numbers, passphrase, program, *args = sys.argv[1:]
lock = os.open(pidfile, os.O_WRONLY | os.O_CREAT, 0o600)
fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
os.write(lock, b'%d' % os.getpid())
os.set_inheritable(lock, True)
for number in numbers.split(','):
    reader, writer = os.pipe()
    os.write(writer, passphrase.encode())
    os.close(writer)
    os.dup2(reader, int(number))
    os.close(reader)
os.execv(program, [program, *args])
`
const KEY_FDS = [25, 26]

/** @param migration words of `--migration`, as libvirt gives them when the storage is shared */
async function startDomain(
  t: Cleanup,
  { state = temporaryDirectory(t), passphrase = 'a secret of libvirt', migration = '', ready = true } = {},
): Promise<Domain> {
  const run = temporaryDirectory(t)
  const [socket, log, pidFile] = ['1-vm-swtpm.sock', 'vm-swtpm.log', 'vm-swtpm.pid'].map((n) => join(run, n))
  const swtpm = new Swtpm(
    [
      ...['-c', LAUNCHER, pidFile as string, KEY_FDS.join(), passphrase, bin('swtpm'), 'socket'],
      ...['--ctrl', `type=unixio,path=${socket},mode=0600`],
      ...['--tpmstate', `dir=${state},mode=0600`],
      ...['--log', `file=${log}`],
      '--terminate',
      '--tpm2',
      ...['--key', `pwdfd=${KEY_FDS[0]},mode=aes-256-cbc`],
      ...['--migration-key', `pwdfd=${KEY_FDS[1]},mode=aes-256-cbc`],
      ...(migration === '' ? [] : ['--migration', migration]),
    ],
    { program: PYTHON },
  )
  t.after(() => swtpm.stop('SIGKILL'))
  const domain = { swtpm, state, socket: socket as string, log: log as string, pidFile: pidFile as string }
  if (ready) await swtpm.until(() => isListening(domain.socket), 'its control socket')
  return domain
}

/** QEMU's part: hands in the data connection and powers the TPM on. */
async function powerOn(t: Cleanup, domain: Domain): Promise<(command: Uint8Array) => Promise<number>> {
  const vmm = new VmmClient(t, domain.socket)
  const data = await vmm.handInData()
  assert.equal(await vmm.control(`${CMD.INIT} 00000000`), '00000000')
  assert.equal(responseCode(await data.command(TPM2.startupClear)), 0)
  return async (command) => responseCode(await data.command(command))
}

/** Who holds the lock on a pid file, asked as libvirt asks. */
function lockHolder(pidFile: string): number {
  const fd = openSync(pidFile, 'r+')
  try {
    return native.lockHolder(fd)
  } finally {
    closeSync(fd)
  }
}

describe("libvirt's swtpm", () => {
  it('is the process of the pid file, which stays locked as long as it lives', async (t) => {
    const domain = await startDomain(t)
    const { swtpm, pidFile } = domain
    assert.equal(Number(readFileSync(pidFile, 'utf8')), swtpm.pid)
    assert.equal(lockHolder(pidFile), swtpm.pid)
    const command = await powerOn(t, domain)
    assert.equal(await command(TPM2.getRandom()), 0)
    assert.equal(lockHolder(pidFile), swtpm.pid)
    // The file is libvirt's: it is not removed.
    await swtpm.stop()
    assert.equal(lockHolder(pidFile), 0)
    assert.ok(existsSync(pidFile))
  })

  it('makes its files for its own user only, and logs nothing when all is well', async (t) => {
    const domain = await startDomain(t)
    const command = await powerOn(t, domain)
    assert.equal(await command(TPM2.nvDefine()), 0)
    assert.equal(statSync(domain.socket).mode & 0o777, 0o600)
    assert.equal(statSync(join(domain.state, 'tpm2-00.permall')).mode & 0o777, 0o600)
    assert.equal(await domain.swtpm.stop(), 0)
    assert.equal(readFileSync(domain.log, 'utf8'), '')
    assert.equal(domain.swtpm.stderr, '')
  })

  for (const [whose, program] of [
    ['ours', ours('swtpm_ioctl')],
    ["Debian's", debians('swtpm_ioctl')],
  ] as const) {
    it(`stops by swtpm_ioctl --unix PATH -s, ${whose}`, {
      skip: whose === 'ours' ? false : withoutDebiansTools,
    }, async (t) => {
      const { swtpm, socket } = await startDomain(t)
      await tool(program, ['--unix', socket, '-s'])
      assert.equal(await swtpm.exited, 0)
      assert.equal(existsSync(socket), false)
    })
  }

  it('ends when the domain lets go of the data connection', async (t) => {
    const domain = await startDomain(t)
    const vmm = new VmmClient(t, domain.socket)
    const data = await vmm.handInData()
    assert.equal(await vmm.control(`${CMD.INIT} 00000000`), '00000000')
    data.close()
    assert.equal(await domain.swtpm.exited, 0)
  })

  it('opens its state with the same passphrase only', async (t) => {
    const state = temporaryDirectory(t)
    const first = await startDomain(t, { state })
    const command = await powerOn(t, first)
    assert.equal(await command(TPM2.nvDefine()), 0)
    assert.equal(await first.swtpm.stop(), 0)
    const file = join(state, 'tpm2-00.permall')
    const before = readFileSync(file)

    const wrong = await startDomain(t, { state, passphrase: 'another secret' })
    const vmm = new VmmClient(t, wrong.socket)
    assert.notEqual(await vmm.control(`${CMD.INIT} 00000000`), '00000000')
    assert.match(readFileSync(wrong.log, 'utf8'), /Cannot decrypt state .*wrong key/i)
    assert.equal(await wrong.swtpm.stop(), 0)
    assert.deepEqual(readFileSync(file), before)

    const right = await startDomain(t, { state })
    const again = await powerOn(t, right)
    // TPM_RC_NV_DEFINED: it is there.
    assert.equal(await again(TPM2.nvDefine()), 0x14c)
  })

  it('moves to another host that shares the storage', async (t) => {
    const state = temporaryDirectory(t)
    const source = await startDomain(t, { state, migration: 'release-lock-outgoing' })
    const vmm = new VmmClient(t, source.socket)
    const data = await vmm.handInData()
    assert.equal(await vmm.control(`${CMD.INIT} 00000000`), '00000000')
    assert.equal(responseCode(await data.command(TPM2.startupClear)), 0)
    // The source holds the storage: another domain cannot be started on it …
    const intruder = await startDomain(t, { state, migration: 'release-lock-outgoing' })
    const second = new VmmClient(t, intruder.socket)
    assert.notEqual(await second.control(`${CMD.INIT} 00000000`), '00000000')
    assert.match(readFileSync(intruder.log, 'utf8'), /held by process/)
    await intruder.swtpm.stop()
    // … but the target of a migration can.
    const target = await startDomain(t, { state, migration: 'release-lock-outgoing,incoming' })
    assert.equal(responseCode(await data.command(TPM2.getRandom())), 0)
    // Until the source has given it away, the target's TPM is not powered on by a blob.
    const incoming = new VmmClient(t, target.socket)
    assert.equal(await incoming.control(CMD.STOP), '00000000')
    const empty = '0000000d 00000000 00000001 00000000'
    assert.notEqual(await incoming.control(empty), '00000000')
    assert.match(readFileSync(target.log, 'utf8'), /held by process/)
    // The savestate blob is the last that QEMU fetches, though there is none.
    assert.equal(
      await vmm.control(`${CMD.GET_STATEBLOB} 00000001 00000003 00000000`, 16),
      `00000800${'00'.repeat(12)}`,
    )
    assert.equal(await incoming.control(empty), '00000000')
  })

  it('says in the log why it cannot start, and exits with 1', async (t) => {
    const missing = join(temporaryDirectory(t), 'missing')
    const { swtpm, log } = await startDomain(t, { state: missing, ready: false })
    assert.equal(await swtpm.exited, 1)
    assert.match(readFileSync(log, 'utf8'), /Cannot open state directory/)
  })

  it('adds to a log that was there before', async (t) => {
    const directory = temporaryDirectory(t)
    const log = join(directory, 'log')
    writeFileSync(log, 'an earlier start\n')
    const swtpm = new Swtpm([
      ...['socket', '--tpm2', '--tpmstate', `dir=${directory}/missing`, '--log', `file=${log}`],
      ...['--ctrl', `type=unixio,path=${directory}/control`],
    ])
    t.after(() => swtpm.stop('SIGKILL'))
    assert.equal(await swtpm.exited, 1)
    assert.match(readFileSync(log, 'utf8'), /^an earlier start\nCannot open state directory/)
  })
})
