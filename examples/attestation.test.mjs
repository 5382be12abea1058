// What those ask who write attestation software and TSS libraries: does the software notice? No root, no device:
//
//     node --test examples/attestation.test.mjs          (needs tpm2-tools)

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { createTpm, tcpSocket } from 'swtpm'
import { set } from 'swtpm/faults'

const ZERO = Buffer.alloc(32)
const DIGEST = 'ab'.repeat(32)

/** A TPM on a socket, tpm2-tools that use it, and a folder for their files. */
async function tpmWithTools(t, options) {
  const tpm = await createTpm(options)
  const device = await tpm.expose(tcpSocket())
  const folder = await mkdtemp(join(tmpdir(), 'example-'))
  t.after(async () => {
    await tpm.close()
    await rm(folder, { recursive: true })
  })
  const run = promisify(execFile)
  const tool = (name, ...words) =>
    run(`tpm2_${name}`, words, { cwd: folder, env: { ...process.env, TPM2TOOLS_TCTI: device.tcti } })
  return { tpm, tool }
}

test('an interposer that changes what is extended is noticed under an HMAC session', async (t) => {
  const { tpm, tool } = await tpmWithTools(t)
  tpm.on('PCR_Extend', (exchange, next) => next(exchange.with(set('digests[0].digest', ZERO))))
  // Without a session nobody notices.
  await tool('pcrextend', `16:sha256=${DIGEST}`)
  await tool('createprimary', '-C', 'o', '-G', 'ecc', '-c', 'key.ctx')
  await tool('startauthsession', '--hmac-session', '-c', 'key.ctx', '-S', 'session.ctx')
  await assert.rejects(tool('pcrextend', '-P', 'session:session.ctx', `16:sha256=${DIGEST}`))
})

/** What an attestation agent does, as small as it gets: it compares the clock of the TPM with the one that it knows. */
class Agent {
  #known
  #readClock

  constructor(readClock) {
    this.#readClock = readClock
  }

  async attest() {
    const clock = await this.#readClock()
    const known = this.#known
    this.#known = clock
    if (known === undefined || known.resetCount === clock.resetCount) return 'unchanged'
    return 'rebooted'
  }
}

test('an agent notices that the TPM was reset behind its back', async (t) => {
  const { tpm, tool } = await tpmWithTools(t)
  const agent = new Agent(async () => {
    const { stdout } = await tool('readclock')
    return { resetCount: Number(/reset_count: (\d+)/.exec(stdout)[1]) }
  })
  assert.equal(await agent.attest(), 'unchanged')
  await tpm.powerOff('cut')
  await tpm.powerOn('clear')
  assert.equal(await agent.attest(), 'rebooted')
})

test('a program that unseals says what a lockout is', async (t) => {
  const { tpm, tool } = await tpmWithTools(t)
  tpm.fault('Unseal: rc=LOCKOUT')
  await tool('createprimary', '-C', 'o', '-G', 'ecc', '-c', 'key.ctx')
  await tool(
    'create',
    '-C',
    'key.ctx',
    '-i',
    '/etc/hostname',
    '-u',
    'sealed.pub',
    '-r',
    'sealed.priv',
    '-c',
    'sealed.ctx',
  )
  // A socket has no resource manager that would make room.
  await tool('flushcontext', '-t')
  await assert.rejects(tool('unseal', '-c', 'sealed.ctx'), /0x921|lockout/i)
})
