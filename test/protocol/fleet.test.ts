/** `swtpm fleet`: many TPMs under one supervisor, of which none is another's concern. */

import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { type FleetTpm, type RunningFleet, startFleet } from '../support/fleet.ts'
import { alive, descendants, nameOf } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { startSocketTpm } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

async function answers({ data }: FleetTpm): Promise<void> {
  const client = await RawConnection.open(data)
  try {
    client.write(TPM2.getRandom())
    assert.equal(responseCode(await client.readResponse()), 0)
  } finally {
    client.close()
  }
}

const statusOf = async (fleet: RunningFleet, name: string) =>
  (await fleet.list()).find((tpm) => tpm.name === name)

describe('swtpm fleet add, remove, list', () => {
  it('a TPM is served when add returns, listed, and gone when remove does', async (t) => {
    const fleet = await startFleet(t)
    assert.equal(statSync(fleet.socket).mode & 0o777, 0o600)
    const tpm = await fleet.add('web')
    await answers(tpm)
    const [status, ...others] = await fleet.list()
    assert.deepEqual(others, [])
    const { engine, ...rest } = status!
    assert.ok(alive(engine!) && nameOf(engine!) === 'tpm-engine')
    assert.deepEqual(rest, {
      ...{ name: 'web', state: 'running', interface: 'socket' },
      ...{ address: tpm.data, control: tpm.control, tpmstate: tpm.directory },
    })
    assert.match(
      (await fleet.run('list')).stdout,
      new RegExp(`^web +running +socket +${engine} +${tpm.data} `, 'm'),
    )
    assert.deepEqual(await fleet.run('remove', 'web'), { code: 0, stdout: '', stderr: '' })
    assert.deepEqual(await fleet.list(), [])
    assert.ok(!alive(engine!))
    assert.deepEqual(readdirSync(tpm.directory), ['.lock', 'tpm2-00.permall'])
    // The name and the state are free again.
    await answers(await fleet.add('web'))
    assert.equal(await fleet.swtpm.stop(), 0)
  })

  it('a relative path begins where the client is', async (t) => {
    const fleet = await startFleet(t)
    mkdirSync(join(fleet.directory, 'here'))
    const added = await fleet.run(
      'add',
      'a',
      '--',
      'socket',
      '--tpmstate',
      'dir=here',
      '--server',
      'type=unixio,path=d',
    )
    assert.equal(added.code, 0, added.stderr)
    assert.ok(existsSync(join(fleet.directory, 'd')))
    assert.equal((await statusOf(fleet, 'a'))?.tpmstate, join(fleet.directory, 'here'))
  })

  it('what cannot be is refused, by name, reason and way out', async (t) => {
    const fleet = await startFleet(t, { tpms: ['a'] })
    const { words, directory } = fleet.describe('a')
    const place = ['socket', '--tpm2', '--tpmstate', `dir=${fleet.describe('b').directory}`]
    const cases: [words: string[], said: RegExp][] = [
      [['add', 'a', '--', ...words], /"a": there is one of this name; swtpm fleet remove a ends it/],
      [['add', 'b', '--', ...words], /"b": its state ".*\/a" is that of TPM "a"; give it another/],
      [
        ['add', 'b', '--', ...words.map((word) => word.replace(directory, `${directory}/../a`))],
        /is that of TPM "a"/,
      ],
      [['add', 'b', '--', ...place, '--fd', '4'], /descriptors are not handed over/],
      [['add', 'b', '--', ...place, '--nonsense'], /unrecognized option '--nonsense'/],
      ...['--daemon', '--pid=file=x', '--runas=root', '--log=level=5', '--seccomp=action=none'].map(
        (option): [string[], RegExp] => [
          ['add', 'b', '--', ...place, option],
          new RegExp(`${option.split('=')[0]} concerns all TPMs of a fleet: give it to swtpm fleet itself`),
        ],
      ),
      [['add', 'b', '--', ...place, '--chroot', '/tmp'], /--chroot is for a swtpm with one TPM/],
      [
        ['add', 'b', '--', ...place, '--server', 'type=tcp,port=1', '--trace', '-'],
        /--trace -: the lines of all TPMs would be mixed; name a file/,
      ],
      [['add', 'b', '--', 'socket', '--print-capabilities'], /prints something and ends/],
      [['add', 'b', '--', 'tpm'], /"tpm" is no interface; write socket, chardev or cuse/],
      [['add', '../b', '--', ...place], /"\.\.\/b" cannot be a TPM's name/],
      [['add', 'b'], /Missing the TPM's command line: swtpm fleet add b -- socket/],
      [['remove', 'b'], /Cannot remove TPM "b": there is none of this name/],
      [['list', 'b'], /Unexpected argument "b"/],
      [['start'], /Unknown verb "start": add, remove, list, or none to start a fleet/],
      [['list', '--daemon'], /--daemon is for swtpm fleet itself/],
    ]
    for (const [words, said] of cases) {
      const { code, stderr } = await fleet.run(...words)
      assert.equal(code, 1, words.join(' '))
      assert.match(stderr, said)
    }
    assert.deepEqual(
      (await fleet.list()).map(({ name }) => name),
      ['a'],
    )
    await answers(fleet.describe('a'))
  })

  it('two TPMs share neither a state nor a socket, whatever they call it', async (t) => {
    const fleet = await startFleet(t)
    const file = join(fleet.directory, 'new.img')
    const link = join(fleet.directory, 'link.img')
    const linear = (name: string, path: string): string[] => {
      const words = ['socket', '--tpm2', '--tpmstate', `backend-uri=file://${path}`]
      return [...words, '--server', `type=unixio,path=${join(fleet.directory, name)}.sock`]
    }
    // Not there yet when the first is added.
    assert.equal((await fleet.run('add', 'l1', '--', ...linear('l1', file))).code, 0)
    symlinkSync(file, link)
    for (const path of [file, link]) {
      const { code, stderr } = await fleet.run('add', 'l2', '--', ...linear('l2', path))
      assert.equal(code, 1)
      assert.match(stderr, /"l2": its state ".*\.img" is that of TPM "l1"; give it another/)
    }
    // Another file has got the name.
    renameSync(file, `${file}.old`)
    assert.equal((await fleet.run('add', 'l2', '--', ...linear('l2', file))).code, 0)
    const moved = await fleet.run('add', 'l3', '--', ...linear('l3', `${file}.old`))
    assert.match(moved.stderr, /is that of TPM "l1"/)

    const { stderr } = await fleet.run('add', 'l3', '--', ...linear('l1', join(fleet.directory, 'l3.img')))
    assert.match(stderr, /Cannot listen on ".*l1\.sock": this swtpm listens there already/)
    // What another process has put in place of a socket is not ours to remove.
    const socket = join(fleet.directory, 'l2.sock')
    renameSync(socket, `${socket}.old`)
    writeFileSync(socket, '')
    assert.equal((await fleet.run('remove', 'l2')).code, 0)
    assert.ok(existsSync(socket) && existsSync(join(fleet.directory, 'l1.sock')))
    // A state that has been let go is free.
    assert.equal((await fleet.run('remove', 'l1')).code, 0)
    assert.equal((await fleet.run('add', 'l4', '--', ...linear('l4', `${file}.old`))).code, 0)
  })

  it('no fleet there: says so', async (t) => {
    const fleet = await startFleet(t)
    assert.equal(await fleet.swtpm.stop(), 0)
    const { code, stderr } = await fleet.run('list')
    assert.equal(code, 1)
    assert.match(stderr, /Cannot ask the fleet at ".*": none is running there; start one with swtpm fleet/)
  })
})

describe('the fleet’s socket', () => {
  it('answers requests in order, and tells what is no request', async (t) => {
    const fleet = await startFleet(t, { tpms: ['a'] })
    const client = await RawConnection.open(fleet.socket)
    client.socket.end('nonsense\n{"verb":"start"}\n{"verb":"remove","name":"b"}\n{"verb":"list"}\n')
    const lines = (await client.readToEnd()).toString().trimEnd().split('\n')
    const [first, second, third, last] = lines.map((line) => JSON.parse(line))
    assert.match(first.error, /it is not JSON/)
    assert.match(second.error, /"verb" is "start"; it can be "add", "remove" or "list"/)
    assert.match(third.error, /there is none of this name/)
    assert.equal(last.ok && last.tpms.length, 1)
  })

  it('a line without end is refused, and others are heard meanwhile', async (t) => {
    const fleet = await startFleet(t)
    const client = await RawConnection.open(fleet.socket)
    client.socket.write('{')
    assert.deepEqual(await fleet.list(), [])
    client.socket.end(Buffer.alloc(70_000, 0x20))
    assert.match((await client.readToEnd()).toString(), /longer than 65536 bytes/)
  })
})

describe('one TPM’s failure is its own', () => {
  it('a bad line, a state that is not there, one that is damaged', async (t) => {
    const fleet = await startFleet(t, {
      tpms: ['good'],
      lines: [
        'no name',
        'open: socket "quote',
        'flag: socket --tpm2 --daemon',
        'none: socket --tpmstate dir=/nonexistent/x --port 0',
      ],
    })
    assert.match(fleet.swtpm.stderr, /tpms:2: there is no "NAME:" in front/)
    assert.match(fleet.swtpm.stderr, /tpms:3: a quotation that begins with " does not end/)
    assert.match(fleet.swtpm.stderr, /tpms:4: --daemon concerns all TPMs/)
    assert.match(fleet.swtpm.stderr, /tpms:5: Cannot serve TPM "none": Cannot open state directory/)
    const bad = fleet.describe('bad')
    writeFileSync(join(bad.directory, 'tpm2-00.permall'), 'not a state')
    await assert.rejects(fleet.add('bad'), /Cannot serve TPM "bad": Cannot start the TPM/)
    assert.match(fleet.swtpm.stderr, /swtpm: .*Cannot serve TPM "bad": Cannot start the TPM/m)
    const failed = (await fleet.list()).filter(({ state }) => state === 'failed')
    assert.deepEqual(
      failed.map(({ name }) => name),
      ['bad', 'none'],
    )
    assert.match(failed[0]?.failure ?? '', /Cannot start the TPM/)
    assert.ok(!existsSync(bad.data) && !existsSync(bad.control))
    assert.equal(readFileSync(join(bad.directory, 'tpm2-00.permall'), 'utf8'), 'not a state')
    await answers(fleet.describe('good'))
    // What was wrong has been put right.
    writeFileSync(join(bad.directory, 'tpm2-00.permall'), '')
    assert.equal((await fleet.run('remove', 'bad')).code, 0)
    assert.equal((await fleet.run('remove', 'none')).code, 0)
    assert.equal(await fleet.swtpm.stop(), 0)
  })

  it('INIT fails with a state that is damaged or gone, which stays as it is', async (t) => {
    const fleet = await startFleet(t, { tpms: ['good'] })
    const { directory, control } = fleet.describe('good')
    const client = await RawConnection.open(control)
    const verb = async (hex: string): Promise<number> => {
      client.write(hex)
      return (await client.read(4)).readUInt32BE()
    }
    assert.equal(await verb(CMD.STORE_VOLATILE), 0)
    for (const [name, damaged, said] of [
      ['tpm2-00.volatilestate', 'damaged', /good: .*"tpm2-00.volatilestate": .*; mend it, or move it away/],
      ['tpm2-00.permall', 'damaged', /good: .*Cannot use state "tpm2-00.permall": 7 bytes are too few/],
      ['tpm2-00.permall', undefined, /good: .*permall" is gone; put it back/],
    ] as const) {
      assert.equal(await verb(CMD.STOP), 0)
      const path = join(directory, name)
      renameSync(path, `${path}.away`)
      if (damaged !== undefined) writeFileSync(path, damaged)
      const others = readdirSync(directory)
      assert.equal(await verb(`${CMD.INIT} 00000000`), 0x101, name)
      await waitFor(() => said.test(fleet.swtpm.stderr), { what: `${name}: ${said}` })
      assert.deepEqual(readdirSync(directory), others)
      if (damaged !== undefined) assert.equal(readFileSync(path, 'utf8'), damaged)
      renameSync(`${path}.away`, path)
    }
    assert.equal(await verb(`${CMD.INIT} 00000000`), 0)
  })

  it('kill -9 of an engine: its TPM goes on, the others’ connections too', async (t) => {
    const fleet = await startFleet(t, { tpms: ['a', 'b'] })
    const [a, b] = [fleet.describe('a'), fleet.describe('b')]
    const other = await RawConnection.open(b.data)
    t.after(() => other.close())
    const before = await fleet.list()
    process.kill(before[0]?.engine as number, 'SIGKILL')
    await waitFor(
      async () => ![undefined, before[0]?.engine].includes((await statusOf(fleet, 'a'))?.engine),
      {
        what: 'another engine of "a"',
      },
    )
    await answers(a)
    other.write(TPM2.getRandom())
    assert.equal(responseCode(await other.readResponse()), 0)
    assert.equal((await statusOf(fleet, 'b'))?.engine, before[1]?.engine)
    assert.match(fleet.swtpm.stderr, /^swtpm: a: .*The engine has ended unexpectedly/m)
    assert.doesNotMatch(fleet.swtpm.stderr, /^swtpm: b: .*engine has ended/m)
  })

  it('a state that another swtpm holds', async (t) => {
    const fleet = await startFleet(t)
    const { directory, words } = fleet.describe('a')
    const { swtpm } = await startSocketTpm(t, ['--tpm2', '--flags', 'startup-clear'], { directory })
    const { stderr } = await fleet.run(
      'add',
      'a',
      '--',
      ...words.map((word) => word.replace(/data$|control$/, '$&2')),
    )
    assert.match(stderr, /Cannot serve TPM "a"/)
    assert.match(
      fleet.swtpm.stderr,
      new RegExp(`^swtpm: Cannot serve TPM "a": .*held by process ${swtpm.pid}`, 'm'),
    )
  })

  it('SHUTDOWN over a control channel ends that TPM alone', async (t) => {
    const fleet = await startFleet(t, { tpms: ['a', 'b'] })
    const control = await RawConnection.open(fleet.describe('a').control)
    control.write(CMD.SHUTDOWN)
    assert.deepEqual(await control.read(4), Buffer.alloc(4))
    await waitFor(async () => (await fleet.list()).length === 1, { what: '"a" to be gone' })
    await answers(fleet.describe('b'))
  })
})

describe('the end of a fleet', () => {
  it('SIGTERM: twenty TPMs are used at once, then end in order, with their files', async (t) => {
    const names = Array.from({ length: 20 }, (_, index) => `tpm${index}`)
    const fleet = await startFleet(t, { tpms: names })
    const tpms = names.map((name) => fleet.describe(name))
    const engines = (await fleet.list()).map(({ engine }) => engine as number)
    assert.equal(new Set(engines).size, 20)
    // Different TPMs: what one extends is not seen by another.
    const digests = await Promise.all(
      tpms.map(async ({ data }, index) => {
        const client = await RawConnection.open(data)
        t.after(() => client.close())
        for (let count = 0; count < 25; count++) {
          client.write(TPM2.pcrExtend(16, Buffer.alloc(32, index)))
          assert.equal(responseCode(await client.readResponse()), 0)
        }
        client.write(TPM2.pcrRead(16))
        return (await client.readResponse()).subarray(-32).toString('hex')
      }),
    )
    assert.equal(new Set(digests).size, 20)
    const processes = descendants(fleet.swtpm.pid)
    assert.ok(processes.some((pid) => nameOf(pid) === 'tpm-spawner'))
    assert.equal(await fleet.swtpm.stop(), 0, fleet.swtpm.stderr)
    assert.deepEqual(processes.filter(alive), [])
    assert.ok(!existsSync(fleet.socket))
    for (const { data, control, directory } of tpms) {
      assert.ok(!existsSync(data) && !existsSync(control))
      assert.ok(existsSync(join(directory, 'tpm2-00.permall')))
    }
    assert.doesNotMatch(fleet.swtpm.stderr, /Error/)
  })

  it('kill -9 of the supervisor: the engines store and end', async (t) => {
    const fleet = await startFleet(t, { tpms: ['a', 'b'] })
    const engines = (await fleet.list()).map(({ engine }) => engine as number)
    await fleet.swtpm.stop('SIGKILL')
    await waitFor(() => !engines.some(alive), { what: 'the engines to end' })
  })
})

describe('--fresh-engines', () => {
  it('engines are executed, not forked: their address spaces differ', async (t) => {
    const startOfProgram = (pid: number): string =>
      /^\w+/.exec(readFileSync(`/proc/${pid}/maps`, 'latin1'))?.[0] ?? ''
    for (const [options, spaces] of [
      [[], 1],
      [['--fresh-engines'], 4],
    ] as const) {
      const fleet = await startFleet(t, { tpms: ['a', 'b', 'c', 'd'], options: [...options] })
      const engines = (await fleet.list()).map(({ engine }) => engine as number)
      assert.equal(new Set(engines.map(startOfProgram)).size, spaces)
      assert.equal(await fleet.swtpm.stop(), 0)
    }
  })
})
