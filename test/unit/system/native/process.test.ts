import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { native } from '../../../../src/system/native/load.ts'
import { inOtherProcess, temporaryFolder, withoutRoot } from './fixtures.ts'

const EPERM = -1
const ENOENT = -2
const EINVAL = -22
const ERANGE = -34

/** Fields of /proc/self/status in the helper process, as the script sees them. */
const STATUS = `const status = (name) =>
  new RegExp('^' + name + ':\\\\s*(.*)$', 'm').exec(require('fs').readFileSync('/proc/thread-self/status', 'utf8'))[1];`

function accounts(file: string): string[][] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => /^\w/.test(line))
    .map((line) => line.split(':'))
}

test('userByName() finds the users of /etc/passwd', () => {
  for (const [name, , uid, gid] of accounts('/etc/passwd')) {
    const user = native.userByName(name!)
    assert.ok(Array.isArray(user), name)
    assert.deepEqual(user.slice(0, 2), [Number(uid), Number(gid)])
    assert.ok(user[2].includes(Number(gid)), 'the groups hold the primary one')
  }
})

test('userByName() takes a number for the uid and the gid', () => {
  assert.deepEqual(native.userByName('12345'), [12345, 12345, [12345]])
  assert.deepEqual(native.userByName('0'), [0, 0, [0]])
  assert.deepEqual(native.userByName('4294967294'), [4294967294, 4294967294, [4294967294]])
  assert.equal(native.userByName('4294967295'), ERANGE)
})

test('userByName() does not know what is neither', () => {
  for (const name of ['no-such-user-here', '', '-1', '1x', ' 1', '1\0', '0x10']) {
    assert.equal(native.userByName(name), ENOENT, JSON.stringify(name))
  }
})

test('groupByName() finds the groups of /etc/group, and numbers', () => {
  for (const [name, , gid] of accounts('/etc/group')) assert.equal(native.groupByName(name!), Number(gid))
  assert.equal(native.groupByName('54321'), 54321)
  assert.equal(native.groupByName('4294967295'), ERANGE)
  assert.equal(native.groupByName('no-such-group-here'), ENOENT)
})

test('switchUser() refuses ids that are none', () => {
  assert.equal(native.switchUser(-1, 0, []), EINVAL)
  assert.equal(native.switchUser(0, 2 ** 32 - 1, []), EINVAL)
  assert.equal(native.switchUser(0, 0, ['x'] as unknown as number[]), EINVAL)
})

test('switchUser() changes every id in every thread and leaves no way back', { skip: withoutRoot }, () => {
  const script = `const fs = require('fs')
    // A file operation starts the thread pool, whose threads must change, too.
    fs.promises.stat('/').then(() => {
      const result = native.switchUser(12345, 23456, [23456, 34567])
      const threads = fs.readdirSync('/proc/self/task').map((id) => {
        const text = fs.readFileSync('/proc/self/task/' + id + '/status', 'utf8')
        return ['Uid', 'Gid', 'Groups', 'CapPrm', 'CapEff'].map((name) =>
          new RegExp('^' + name + ':\\\\s*(.*?)\\\\s*$', 'm').exec(text)[1].replace(/\\s+/g, ' ')).join('; ')
      })
      console.log(JSON.stringify({ result, threads, back: native.switchUser(0, 0, []) }))
    })`
  const { result, threads, back } = inOtherProcess(script) as {
    result: number
    threads: string[]
    back: number
  }
  assert.equal(result, 0)
  assert.ok(threads.length > 1)
  const expected =
    '12345 12345 12345 12345; 23456 23456 23456 23456; 23456 34567; 0000000000000000; 0000000000000000'
  assert.deepEqual([...new Set(threads)], [expected])
  assert.equal(back, EPERM)
})

test('chroot() changes root and working directory', { skip: withoutRoot }, (t) => {
  const folder = temporaryFolder(t)
  const script = `const fs = require('fs'); fs.writeFileSync(args[0] + '/only-this', '')
    const result = native.chroot(args[0])
    console.log(JSON.stringify({ result, root: fs.readdirSync('/'), parent: fs.readdirSync('..') }))`
  assert.deepEqual(inOtherProcess(script, folder), { result: 0, root: ['only-this'], parent: ['only-this'] })
})

test('chroot() tells what is in the way', () => {
  assert.equal(native.chroot('/no/such/folder'), ENOENT)
  assert.equal(native.chroot('a\0b'), EINVAL)
})

test('dropCapabilities() empties every set', { skip: withoutRoot }, () => {
  const script = `${STATUS}
    const result = native.dropCapabilities([])
    console.log(JSON.stringify([result, ...['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'].map((set) => status('Cap' + set))]))`
  assert.deepEqual(inOtherProcess(script), [0, ...Array(5).fill('0000000000000000')])
})

test('dropCapabilities() keeps what it is told to, in every thread', { skip: withoutRoot }, () => {
  const script = `const fs = require('fs')
    // A file operation starts the thread pool.
    fs.readFile('/proc/self/stat', () => {
      const result = native.dropCapabilities([1, 3])
      const tasks = fs.readdirSync('/proc/self/task')
      const sets = tasks.flatMap((task) => fs.readFileSync('/proc/self/task/' + task + '/status', 'utf8').match(/^Cap.*$/gm))
      console.log(JSON.stringify([result, tasks.length > 5, [...new Set(sets)].sort()]))
    })`
  assert.deepEqual(inOtherProcess(script), [
    0,
    true,
    [
      ...['CapAmb:\t0000000000000000', 'CapBnd:\t0000000000000000', 'CapEff:\t000000000000000a'],
      ...['CapInh:\t0000000000000000', 'CapPrm:\t000000000000000a'],
    ],
  ])
})

test('dropCapabilities() leaves nothing to be done later', { skip: withoutRoot }, () => {
  const script = `const crypto = require('crypto')
    let left = 4
    const done = () => { if (--left === 0) console.log(JSON.stringify('alive')) }
    // Threads that are at work follow late.
    for (let i = 0; i < 4; i++) crypto.pbkdf2('a', 'b', 20000, 32, 'sha512', done)
    native.dropCapabilities([])
    native.forbidSystemCalls(true)`
  for (let i = 0; i < 5; i++) assert.equal(inOtherProcess(script), 'alive')
})

test('dropCapabilities() says so when the bounding set has to stay', { skip: withoutRoot }, () => {
  const script = `native.switchUser(12345, 12345, [12345])
    console.log(native.dropCapabilities([]))`
  assert.equal(inOtherProcess(script), 1)
})

test('setNoNewPrivileges() holds for children', () => {
  const script = `const result = native.setNoNewPrivileges()
    const child = require('child_process').execFileSync('grep', ['NoNewPrivs', '/proc/self/status'], { encoding: 'utf8' })
    console.log(JSON.stringify([result, child.trim().split(/\\s+/)[1]]))`
  assert.deepEqual(inOtherProcess(script), [0, '1'])
})

test('disableCoreDumps() sets both limits to 0', () => {
  const script = `const result = native.disableCoreDumps()
    const limits = require('fs').readFileSync('/proc/self/limits', 'utf8')
    console.log(JSON.stringify([result, .../core file size\\s+(\\w+)\\s+(\\w+)/.exec(limits).slice(1)]))`
  assert.deepEqual(inOtherProcess(script), [0, '0', '0'])
})

test('setDumpable(false) gives the files of /proc/self to root', { skip: withoutRoot }, () => {
  const script = `const owner = () => require('fs').statSync('/proc/self/environ').uid
    native.switchUser(12345, 12345, [12345])
    const results = [native.setDumpable(true), owner(), native.setDumpable(false), owner()]
    console.log(JSON.stringify(results))`
  assert.deepEqual(inOtherProcess(script), [0, 12345, 0, 0])
})
