import assert from 'node:assert/strict'
import { closeSync, existsSync, openSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { check } from '../../../../src/system/native/check.ts'
import { native } from '../../../../src/system/native/load.ts'
import {
  inOtherProcess,
  isCloseOnExec,
  isNonBlocking,
  localPort,
  owned,
  receive,
  send,
  socketPair,
  temporaryFolder,
  withoutRoot,
} from './fixtures.ts'

const EAGAIN = -11
const ENODEV = -19
const EINVAL = -22
const ENAMETOOLONG = -36
const EPERM = -1
const ENOENT = -2
const ENOTSOCK = -88
const EADDRINUSE = -98
const EADDRNOTAVAIL = -99

const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ family }) => family === 'IPv6'),
)

/** Resolves once the kernel has put the connection into the listener's backlog. */
function connected(
  t: TestContext,
  target: { path: string } | { port: number; host: string },
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(target as { path: string }, () => resolve(socket))
    socket.on('error', reject)
    t.after(() => socket.destroy())
  })
}

function withUmask<T>(mask: number, body: () => T): T {
  const before = process.umask(mask)
  try {
    return body()
  } finally {
    process.umask(before)
  }
}

test('listenUnix() makes a socket file that clients can connect to', async (t) => {
  const path = join(temporaryFolder(t), 'ctrl')
  const listener = owned(t, check(native.listenUnix(path, 0o600, 4), `listen on "${path}"`))
  assert.ok(isCloseOnExec(listener))
  assert.ok(isNonBlocking(listener))
  assert.equal(native.accept(listener, true), EAGAIN)

  const client = await connected(t, { path })
  const connection = owned(t, native.accept(listener, true))
  assert.ok(connection > 0)
  assert.ok(isNonBlocking(connection))
  assert.ok(isCloseOnExec(connection))
  assert.equal(send(connection, 'welcome'), 7)
  const [greeting] = (await new Promise((resolve) => client.once('data', (...args) => resolve(args)))) as [
    Buffer,
  ]
  assert.equal(greeting.toString(), 'welcome')
})

test('accept() makes blocking connections if asked to', async (t) => {
  const path = join(temporaryFolder(t), 'data')
  const listener = owned(t, native.listenUnix(path, -1, 4))
  await connected(t, { path })
  const connection = owned(t, native.accept(listener, false))
  assert.ok(!isNonBlocking(connection))
})

for (const mode of [0o600, 0o660, 0o666, 0o777, 0o000]) {
  test(`listenUnix() gives the file exactly mode ${mode.toString(8)}, whatever the umask`, (t) => {
    const folder = temporaryFolder(t)
    for (const mask of [0o000, 0o022, 0o077, 0o777]) {
      const path = join(folder, mask.toString(8))
      owned(
        t,
        withUmask(mask, () => check(native.listenUnix(path, mode, 4), 'listen')),
      )
      assert.equal(statSync(path).mode & 0o7777, mode, `umask ${mask.toString(8)}`)
    }
  })
}

test('listenUnix() needs nothing of the root directory but a place', { skip: withoutRoot }, (t) => {
  const folder = temporaryFolder(t)
  const result = inOtherProcess(
    `const fs = require('node:fs')
    const chroot = native.chroot(args[0])
    process.umask(0o077)
    const listener = native.listenUnix('/ctrl', 0o664, 4, 65534, 65533)
    const { mode, uid, gid } = fs.statSync('/ctrl')
    console.log(JSON.stringify([chroot, listener > 0, (mode & 0o7777).toString(8), uid, gid, process.umask().toString(8)]))`,
    folder,
  )
  assert.deepEqual(result, [0, true, '664', 65534, 65533, '77'])
})

test('listenUnix() gives the owner or makes no socket', { skip: withoutRoot }, (t) => {
  const folder = temporaryFolder(t)
  const result = inOtherProcess(
    `const fs = require('node:fs')
    fs.chmodSync(args[0], 0o777)
    native.switchUser(65534, 65534, [])
    const refused = native.listenUnix(args[0] + '/ctrl', 0o600, 4, 0, -1)
    console.log(JSON.stringify([refused, fs.readdirSync(args[0])]))`,
    folder,
  )
  assert.deepEqual(result, [EPERM, []])
})

test('listenUnix() with mode -1 leaves the mode to the umask', (t) => {
  const path = join(temporaryFolder(t), 'ctrl')
  owned(
    t,
    withUmask(0o027, () => native.listenUnix(path, -1, 4)),
  )
  assert.equal(statSync(path).mode & 0o7777, 0o750)
})

test('listenUnix() touches nothing that exists', (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'ctrl')
  owned(t, native.listenUnix(path, 0o600, 4))
  assert.equal(native.listenUnix(path, 0o666, 4), EADDRINUSE)
  assert.equal(statSync(path).mode & 0o7777, 0o600)

  const file = join(folder, 'file')
  writeFileSync(file, '', { mode: 0o600 })
  assert.equal(native.listenUnix(file, 0o666, 4), EADDRINUSE)
  assert.ok(statSync(file).isFile())

  const link = join(folder, 'link')
  symlinkSync(join(folder, 'nowhere'), link)
  assert.equal(native.listenUnix(link, 0o666, 4), EADDRINUSE)
  assert.ok(!existsSync(join(folder, 'nowhere')))
})

test('listenUnix() refuses paths it cannot use', (t) => {
  const folder = temporaryFolder(t)
  assert.equal(native.listenUnix('', 0o600, 4), EINVAL)
  assert.equal(native.listenUnix('a\0b', 0o600, 4), EINVAL)
  assert.equal(native.listenUnix(join(folder, 'x'.repeat(108)), 0o600, 4), ENAMETOOLONG)
  assert.equal(native.listenUnix(join(folder, 'none', 'ctrl'), 0o600, 4), ENOENT)
})

test('listenUnix() takes the longest path the kernel does', (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'x'.repeat(107 - folder.length - 1))
  assert.equal(Buffer.byteLength(path), 107)
  owned(t, check(native.listenUnix(path, 0o600, 4), 'listen'))
  assert.ok(statSync(path).isSocket())
})

test('listenTcp() listens on an IPv4 address and tells the port the kernel chose', async (t) => {
  const listener = owned(t, check(native.listenTcp('127.0.0.1', 0, '', 4), 'listen'))
  const port = localPort(listener)
  assert.ok(port > 0)
  assert.ok(isCloseOnExec(listener))
  assert.equal(native.accept(listener, true), EAGAIN)
  const client = await connected(t, { port, host: '127.0.0.1' })
  const connection = owned(t, native.accept(listener, true))
  assert.equal(localPort(connection), port)
  client.end('bye')
  await new Promise((resolve) => client.once('finish', resolve))
  native.setNonBlocking(connection, false)
  assert.equal(receive(connection).text, 'bye')
})

test('a port in use is refused, one whose connections linger is not', async (t) => {
  const listener = owned(t, native.listenTcp('127.0.0.1', 0, '', 4))
  const port = localPort(listener)
  assert.equal(native.listenTcp('127.0.0.1', port, '', 4), EADDRINUSE)

  const client = await connected(t, { port, host: '127.0.0.1' })
  const connection = native.accept(listener, true)
  closeSync(connection) // The side that closes first keeps the port in TIME_WAIT.
  await new Promise((resolve) => client.once('close', resolve).resume())
  closeSync(listener)
  owned(t, check(native.listenTcp('127.0.0.1', port, '', 4), 'listen again'))
})

test('listenTcp() listens on IPv6, a wildcard for IPv4 clients as well', {
  skip: !hasIpv6 && 'no IPv6',
}, async (t) => {
  const loopback = owned(t, check(native.listenTcp('::1', 0, '', 4), 'listen'))
  await connected(t, { port: localPort(loopback), host: '::1' })
  assert.ok(owned(t, native.accept(loopback, true)) > 0)

  const any = owned(t, check(native.listenTcp('::', 0, '', 4), 'listen'))
  await connected(t, { port: localPort(any), host: '127.0.0.1' })
  assert.ok(owned(t, native.accept(any, true)) > 0)
})

test('listenTcp() scopes a link-local address by the interface', (t) => {
  assert.equal(native.listenTcp('fe80::1', 0, 'no-such-if0', 4), ENODEV)
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    const address = addresses?.find(({ address }) => address.startsWith('fe80:'))?.address
    if (address === undefined) continue
    owned(t, check(native.listenTcp(address, 0, name, 4), `listen on ${address}%${name}`))
    assert.equal(native.listenTcp(address, 0, '', 4), EINVAL)
  }
})

test('listenTcp() refuses what is no local numeric address', () => {
  for (const address of ['localhost', '', '127.0.0', '1.2.3.4.5', '127.1', '::g', '[::1]', '127.0.0.1\0']) {
    assert.equal(native.listenTcp(address, 0, '', 4), EINVAL, JSON.stringify(address))
  }
  assert.equal(native.listenTcp('127.0.0.1', 65536, '', 4), EINVAL)
  assert.equal(native.listenTcp('127.0.0.1', -1, '', 4), EINVAL)
  assert.equal(native.listenTcp('192.0.2.1', 0, '', 4), EADDRNOTAVAIL)
})

test('accept() refuses the wrong kind of descriptor', (t) => {
  const [ours] = socketPair(t)
  const file = owned(t, openSync('/dev/null', 'r'))
  assert.equal(native.accept(ours, true), EINVAL)
  assert.equal(native.accept(file, true), ENOTSOCK)
})
