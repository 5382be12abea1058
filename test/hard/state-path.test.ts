/** The state's place holds something else, or another process. */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { enginePid, nextEngine, replaceEngine } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { bin, type Cleanup, Swtpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { TpmClient } from '../support/tpm-client.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'

const root = process.getuid?.() === 0

/** Starts a TPM that must not come up. @param within a program that starts others @returns what it says */
async function refused(t: Cleanup, state: string, within: readonly string[] = []): Promise<string> {
  const sockets = temporaryDirectory(t)
  const args = ['socket', '--tpm2', '--tpmstate', state, '--flags', 'startup-clear']
  const [program, ...words] = [...within, bin('swtpm'), ...args] as [string, ...string[]]
  const swtpm = new Swtpm([...words, '--server', `type=unixio,path=${sockets}/data`], { program })
  t.after(() => swtpm.stop('SIGKILL'))
  const code = await swtpm.exited
  assert.equal(code, 1, swtpm.stderr)
  assert.notEqual(swtpm.stderr, '')
  return swtpm.stderr
}

/** Mounts something on a new directory. @returns undefined where that is not allowed */
function mount(t: Cleanup, ...what: string[]): string | undefined {
  const path = mkdtempSync(join(tmpdir(), 'swtpm-test-'))
  try {
    execFileSync('mount', [...what, path], { stdio: 'pipe' })
  } catch {
    rmdirSync(path)
    return undefined
  }
  t.after(() => {
    execFileSync('umount', ['--lazy', path])
    rmdirSync(path)
  })
  return path
}

const makeFifo = (path: string): Buffer => execFileSync('mkfifo', [path])

describe('the state directory', () => {
  it('missing, a file, a FIFO, a dangling link: says so and makes nothing', async (t) => {
    const folder = temporaryDirectory(t)
    const path = join(folder, 'state')
    assert.match(await refused(t, `dir=${path}`), /state.*no such file or directory/)
    writeFileSync(path, 'a file')
    assert.match(await refused(t, `dir=${path}`), /state.*not a directory/)
    rmSync(path)
    makeFifo(path)
    assert.match(await refused(t, `dir=${path}`), /state.*not a directory/)
    rmSync(path)
    symlinkSync(join(folder, 'nowhere'), path)
    assert.match(await refused(t, `dir=${path}`), /state.*no such file or directory/)
    assert.deepEqual(readdirSync(folder), ['state'])
  })

  it('unreadable: says so', async (t) => {
    const path = temporaryDirectory(t)
    chmodSync(path, 0)
    // Root may read everything, unless it has given that up.
    const within = root ? ['setpriv', '--bounding-set', '-dac_override,-dac_read_search'] : []
    assert.match(await refused(t, `dir=${path}`, within), /permission denied/)
  })

  for (const name of ['tpm2-00.permall', '.lock']) {
    it(`${name} a link to another user's file: refused, the file untouched`, async (t) => {
      const directory = temporaryDirectory(t)
      const victim = join(temporaryDirectory(t), 'victim')
      writeFileSync(victim, 'precious', { mode: 0o600 })
      symlinkSync(victim, join(directory, name))
      assert.match(await refused(t, `dir=${directory},mode=0644`), /link|ELOOP/)
      assert.equal(readFileSync(victim, 'utf8'), 'precious')
      assert.equal(statSync(victim).mode & 0o777, 0o600)
    })

    it(`${name} a dangling link: refused, nothing made at its end`, async (t) => {
      const directory = temporaryDirectory(t)
      const target = join(temporaryDirectory(t), 'target')
      symlinkSync(target, join(directory, name))
      await refused(t, `dir=${directory}`)
      assert.ok(!existsSync(target))
    })

    it(`${name} a FIFO, a directory: refused at once`, async (t) => {
      const directory = temporaryDirectory(t)
      makeFifo(join(directory, name))
      await refused(t, `dir=${directory}`)
      rmSync(join(directory, name))
      mkdirSync(join(directory, name))
      await refused(t, `dir=${directory}`)
      assert.ok(lstatSync(join(directory, name)).isDirectory())
    })
  }

  it("a temporary file that is a link to another user's file: replaced, the file untouched", async (t) => {
    const directory = temporaryDirectory(t)
    const victim = join(temporaryDirectory(t), 'victim')
    writeFileSync(victim, 'precious')
    symlinkSync(victim, join(directory, 'TMP2-00.permall'))
    const { swtpm, dataPath } = await startSocketTpm(t, undefined, { directory })
    const data = await RawConnection.open(dataPath)
    data.write(TPM2.getRandom())
    assert.equal(responseCode(await data.readResponse()), 0)
    data.close()
    assert.equal(await swtpm.stop(), 0)
    assert.equal(readFileSync(victim, 'utf8'), 'precious')
    assert.ok(lstatSync(join(directory, 'tpm2-00.permall')).isFile())
  })

  it('empty, too short and far too large state files: refused, and kept', async (t) => {
    const directory = temporaryDirectory(t)
    const path = join(directory, 'tpm2-00.permall')
    for (const size of [0, 9, 10, 3 << 20]) {
      writeFileSync(path, Buffer.alloc(size))
      await refused(t, `dir=${directory}`)
      assert.equal(statSync(path).size, size)
    }
  })
})

describe('the linear file', () => {
  it('a FIFO, a directory, a character device: says so', async (t) => {
    const path = join(temporaryDirectory(t), 'linear')
    makeFifo(path)
    assert.match(await refused(t, `backend-uri=file://${path}`), /neither a regular file nor a block device/)
    rmSync(path)
    mkdirSync(path)
    assert.match(await refused(t, `backend-uri=file://${path}`), /directory/)
    assert.match(
      await refused(t, 'backend-uri=file:///dev/null'),
      /neither a regular file nor a block device/,
    )
  })

  it('of another program, at the end of a link: its mode stays, too', async (t) => {
    const folder = temporaryDirectory(t)
    const victim = join(folder, 'passwd')
    writeFileSync(victim, 'root:x:0:0::/root:/bin/sh\n', { mode: 0o644 })
    symlinkSync(victim, join(folder, 'tpm.img'))
    assert.match(await refused(t, `backend-uri=file://${folder}/tpm.img,mode=0600`), /it is no TPM's/)
    assert.equal(statSync(victim).mode & 0o777, 0o644)
  })

  it('a dangling link: says so, and makes nothing at its end', async (t) => {
    const folder = temporaryDirectory(t)
    symlinkSync(join(folder, 'target'), join(folder, 'link'))
    assert.match(await refused(t, `backend-uri=file://${folder}/link`), /file already exists|link/)
    assert.deepEqual(readdirSync(folder), ['link'])
  })
})

describe('two TPMs on one state', () => {
  const second = (t: Cleanup, pid: number, state: string): Promise<void> =>
    refused(t, state).then((said) => assert.match(said, new RegExp(`process ${pid}\\b`)))

  it('exactly one starts, also through a link; the other names the holder', async (t) => {
    const { swtpm, directory, dataPath } = await startSocketTpm(t)
    // Its state is locked when it answers.
    const data = await RawConnection.open(dataPath)
    data.write(TPM2.getRandom())
    await data.readResponse()
    await second(t, swtpm.pid, `dir=${directory}`)
    const link = join(temporaryDirectory(t), 'link')
    symlinkSync(directory, link)
    await second(t, swtpm.pid, `dir=${link}`)
    data.write(TPM2.getRandom())
    assert.equal(responseCode(await data.readResponse()), 0)
    data.close()
  })

  it('exactly one starts through a bind mount', { skip: !root && 'mounting needs root' }, async (t) => {
    const { swtpm, directory, dataPath } = await startSocketTpm(t)
    const data = await RawConnection.open(dataPath)
    data.write(TPM2.getRandom())
    await data.readResponse()
    const mounted = mount(t, '--bind', directory)
    if (mounted === undefined) return t.skip('cannot mount')
    await second(t, swtpm.pid, `dir=${mounted}`)
    data.close()
  })

  it('a linear file, with `lock`: exactly one starts, also through a link, and whatever becomes of the engine', async (t) => {
    const directory = temporaryDirectory(t)
    const state = `backend-uri=file://${directory}/linear,lock`
    const pid = join(directory, 'pid')
    const args = ['socket', '--tpm2', '--tpmstate', state, '--flags', 'startup-clear']
    const swtpm = new Swtpm([
      ...args,
      '--server',
      `type=unixio,path=${directory}/data`,
      '--pid',
      `file=${pid}`,
    ])
    t.after(() => swtpm.stop('SIGKILL'))
    await swtpm.until(() => existsSync(pid), 'it has its state')
    const link = join(temporaryDirectory(t), 'link')
    symlinkSync(join(directory, 'linear'), link)
    await second(t, swtpm.pid, state)
    await second(t, swtpm.pid, `backend-uri=file://${link},lock`)

    const engine = await enginePid(swtpm.pid)
    process.kill(engine, 'SIGKILL')
    await nextEngine(swtpm.pid, engine)
    await second(t, swtpm.pid, state)
    await replaceEngine(swtpm.pid)
    await second(t, swtpm.pid, state)
  })
})

describe('a full disk', { skip: !root && 'mounting needs root' }, () => {
  const fill = (directory: string): string => {
    const ballast = join(directory, 'ballast')
    try {
      for (;;) writeFileSync(ballast, Buffer.alloc(4096), { flag: 'a' })
    } catch {
      return ballast
    }
  }
  const start = async (t: Cleanup, directory: string, option: string) => {
    const args = ['--tpm2', '--flags', 'startup-clear', '--tpmstate', `dir=${directory}${option}`]
    const { swtpm, dataPath } = await startSocketTpm(t, args, { directory })
    const data = await RawConnection.open(dataPath)
    const client = new TpmClient(data)
    const ask = (command: Buffer): Promise<Buffer> => client.ask(command)
    const write = async (number: number): Promise<number> =>
      responseCode(await ask(TPM2.nvWrite(Buffer.alloc(32, number))))
    const read = async (): Promise<number | undefined> => {
      const response = await ask(TPM2.nvRead())
      assert.equal(responseCode(response), 0)
      return response[16]
    }
    const stop = async (): Promise<void> => {
      data.close()
      assert.equal(await swtpm.stop(), 0)
    }
    return { ask, write, read, stop }
  }

  it('refuses what cannot be stored and goes on, by the whole of swtpm on a real file system', async (t) => {
    const directory = mount(t, '-t', 'tmpfs', '-o', 'size=128k', 'tmpfs')
    if (directory === undefined) return t.skip('cannot mount')
    const { ask, write, read, stop } = await start(t, directory, ',journal=false')
    assert.equal(responseCode(await ask(TPM2.nvDefine())), 0)
    assert.equal(await write(1), 0)
    const ballast = fill(directory)
    assert.equal(await write(2), 0x923)
    assert.equal(await read(), 1)
    rmSync(ballast)
    assert.equal(await write(2), 0)
    await stop()
  })

  it('does not stop a journal, whose room is reserved', async (t) => {
    const directory = mount(t, '-t', 'tmpfs', '-o', 'size=128k', 'tmpfs')
    if (directory === undefined) return t.skip('cannot mount')
    const first = await start(t, directory, '')
    assert.equal(responseCode(await first.ask(TPM2.nvDefine())), 0)
    assert.equal(await first.write(1), 0)
    const ballast = fill(directory)
    assert.equal(await first.write(2), 0)
    await first.stop()
    rmSync(ballast)
    const second = await start(t, directory, '')
    assert.equal(await second.read(), 2)
    await second.stop()
    assert.deepEqual(readdirSync(directory).sort(), ['.lock', 'tpm2-00.permall'])
  })
})
