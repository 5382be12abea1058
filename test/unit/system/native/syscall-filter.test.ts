import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { nativeAddonPath } from '../../../../src/system/native/load.ts'
import { inOtherProcess } from './fixtures.ts'

/** Runs a script with the filter in place; the script prints `done` at its end. */
function confined(kill: boolean, script: string): ReturnType<typeof spawnSync> {
  const preamble = `const native = require(process.argv[1])
    if (native.forbidSystemCalls(${kill}) !== 0) throw new Error('no filter')
    ;`
  return spawnSync(process.execPath, ['-e', preamble + script, nativeAddonPath()], {
    encoding: 'utf8',
    timeout: 30_000,
  })
}

test('forbidSystemCalls() holds for every thread, those that are there and those that come', () => {
  const script = `const fs = require('fs')
    const modes = () => fs.readdirSync('/proc/self/task').map((id) =>
      Number(/^Seccomp:\\s*(\\d)/m.exec(fs.readFileSync('/proc/self/task/' + id + '/status', 'utf8'))[1]))
    // A file operation starts the thread pool.
    fs.promises.stat('/').then(async () => {
      const before = modes()
      const result = native.forbidSystemCalls(true)
      const after = modes()
      const { Worker } = require('worker_threads')
      const worker = new Worker('setInterval(() => {}, 1000)', { eval: true })
      await new Promise((resolve) => worker.on('online', resolve))
      const withWorker = modes()
      console.log(JSON.stringify({ result, before, after, withWorker }))
      process.exit(0)
    })`
  const { result, before, after, withWorker } = inOtherProcess(script) as {
    result: number
    before: number[]
    after: number[]
    withWorker: number[]
  }
  assert.equal(result, 0)
  assert.ok(before.length > 1)
  assert.deepEqual([...new Set(after)], [2])
  assert.ok(withWorker.length > after.length)
  assert.deepEqual([...new Set(withWorker)], [2])
})

test('forbidSystemCalls(true) ends a process that starts a program, and leaves all ordinary work alone', () => {
  const spawned = confined(true, `require('child_process').spawnSync('/bin/true'); console.log('done')`)
  assert.equal(spawned.signal, 'SIGSYS')
  assert.equal(spawned.stdout, '')

  const ordinary = confined(
    true,
    `const fs = require('fs'), net = require('net'), path = '/tmp/swtpm-filter-' + process.pid
    const server = net.createServer((socket) => socket.end('x')).listen(path, () => {
      net.connect(path).on('data', () => {}).on('close', () => {
        server.close()
        fs.writeFileSync(path, 'x')
        fs.renameSync(path, path + '.new')
        fs.unlinkSync(path + '.new')
        require('crypto').pbkdf2('a', 'b', 1000, 32, 'sha512', () => console.log('done'))
      })
    })`,
  )
  assert.deepEqual([ordinary.stdout, ordinary.signal, ordinary.stderr], ['done\n', null, ''])
})

test('forbidSystemCalls(false) only logs', () => {
  const spawned = confined(
    false,
    `console.log(require('child_process').spawnSync('/bin/echo', ['done']).stdout.toString())`,
  )
  assert.equal(spawned.stdout, 'done\n\n')
})
