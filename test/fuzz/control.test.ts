/**
 * Control commands whole, cut, glued, wrong, from clients that close half, go away or never read; beside data clients that
 * are no better. Well-formed commands are answered as they must be, and the next client is served.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { figure } from '../hard/support/scale.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { startSocketTpm } from '../support/swtpm.ts'
import { TPM2 } from '../support/tpm-commands.ts'
import { mutate, type Random } from './random.ts'
import { fuzz, settled } from './rounds.ts'
import { anyVerb, u32, type VerbBytes } from './verbs.ts'

const CLIENTS_PER_ROUND = 12
const COMMANDS_PER_CLIENT = 12
const SHUTDOWN = u32(3)

const TPM_BAD_PARAMETER = 3
const TPM_FAIL = 9
const TPM_BAD_ORDINAL = 0xa
const TPM_BAD_LOCALITY = 0x3d
const TPM_RETRY = 0x800

const ignore = (): void => {}

/** What the TPM must answer, as far as that is known without asking it. */
class Model {
  running = true

  /** The result of a well-formed verb in this run state; undefined: any. Follows the run state, but for INIT's. */
  expect({ code, body }: VerbBytes): number | undefined {
    const runningOnly = [4, 6, 7, 8, 9, 0xa, 0xb, 0xc].includes(code)
    if (runningOnly && !this.running) return TPM_BAD_ORDINAL
    switch (code) {
      case 1:
      case 4:
      case 9:
      case 0xf:
      case 0x13:
        return 0
      case 0x12:
        // Behind the end of the text there is nothing to be had.
        return body.readUInt32BE(8) === 0 ? 0 : undefined
      case 5:
        return (body[0] as number) > 4 ? TPM_BAD_LOCALITY : 0
      case 0xb:
        return (body[0] as number) > 4 ? TPM_BAD_LOCALITY : undefined
      case 0xc:
        return [1, 2, 3].includes(body.readUInt32BE(4)) ? undefined : TPM_RETRY
      case 0xd:
        if (this.running) return TPM_BAD_ORDINAL
        return [1, 2, 3].includes(body.readUInt32BE(4)) ? undefined : TPM_BAD_PARAMETER
      case 0xe:
        this.running = false
        return 0
      case 0x11:
        return body.readUInt32BE() !== 0 && this.running ? TPM_BAD_ORDINAL : 0
      case 2:
      case 6:
      case 7:
      case 8:
      case 0xa:
        return undefined
      default:
        return TPM_BAD_ORDINAL
    }
  }
}

/** One answer, as long as it must be. @returns its result */
async function readAnswer(connection: RawConnection, code: number): Promise<number> {
  const result = (await connection.read(4)).readUInt32BE()
  const failed = result !== 0
  switch (code) {
    case 1:
    case 0xf:
    case 4:
      if (!failed) await connection.read(4)
      break
    case 0xc:
      // Its failure is as long as its success, but where the run state forbids it.
      if (result !== TPM_BAD_ORDINAL) await connection.read((await connection.read(12)).readUInt32BE(8))
      break
    case 0x11:
      if (!failed) await connection.read(12)
      break
    case 0x12:
      if (!failed) await connection.read((await connection.read(8)).readUInt32BE(4))
      break
  }
  return result
}

/** A client that waits for each answer, and checks it; `cut`: it sends its commands in pieces. */
async function orderly(random: Random, connection: RawConnection, model: Model, cut: boolean): Promise<void> {
  for (let i = 0; i < COMMANDS_PER_CLIENT; i++) {
    const verb = anyVerb(random)
    const bytes = Buffer.concat([u32(verb.code), verb.body])
    const what = `command ${bytes.subarray(0, 64).toString('hex')} of ${bytes.length} bytes`
    const expected = model.expect(verb)
    for (let from = 0; from < bytes.length; ) {
      const to = cut ? from + 1 + random.below(bytes.length - from) : bytes.length
      connection.write(bytes.subarray(from, to))
      from = to
      if (from < bytes.length) await turn()
    }
    const result = await settled(what, readAnswer(connection, verb.code)).catch((error: Error) => {
      throw new Error(`${what}: ${error.message}`)
    })
    if (verb.code === 2) model.running = result === 0
    // More data than HASH_DATA takes are a failure in themselves; fewer, without HASH_START, in the TPM.
    if (verb.code === 7 && verb.body.length > 4 + 4096) assert.equal(result, TPM_FAIL, what)
    if (expected !== undefined) assert.equal(result, expected, `the result of ${what}`)
  }
}

/** A client whose commands are wrong; it may be turned away. */
async function wrong(random: Random, connection: RawConnection): Promise<void> {
  for (let i = 0; i < COMMANDS_PER_CLIENT; i++) {
    const { code, body } = anyVerb(random)
    const bytes = mutate(random, Buffer.concat([u32(code), body]))
    // Neither nothing nor the end of everything.
    if (bytes.length === 0 || (bytes.length >= 4 && bytes.readUInt32BE() === 3)) continue
    connection.write(bytes)
    // What looks like the beginning of a longer command gets no answer but the end of the connection.
    const served = await settled(
      `command ${bytes.toString('hex')}`,
      connection.read(4).then(
        () => true,
        (error: Error) => {
          assert.match(error.message, /the connection ended/, `command ${bytes.toString('hex')}`)
          return false
        },
      ),
    )
    if (!served) return
    await turn()
    if (connection.unread > 0) await connection.read(connection.unread)
  }
}

/** A client that sends much and waits for nothing. */
async function heedless(random: Random, connection: RawConnection): Promise<void> {
  if (random.chance(0.5)) connection.socket.pause()
  for (let i = 0; i < 8 * COMMANDS_PER_CLIENT; i++) {
    const { code, body } = random.chance(0.5) ? anyVerb(random) : { code: 0xc, body: u32(0, 1, 0) }
    connection.write(Buffer.concat([u32(code), body]))
    if (random.chance(0.2)) await turn()
  }
}

/** A client that ends in the middle of a command, with its whole connection or its half of it. */
async function unfinished(random: Random, connection: RawConnection): Promise<void> {
  const { code, body } = random.chance(0.5) ? { code: 0xd, body: u32(0, 1, 1 << 18, 7) } : anyVerb(random)
  const bytes = Buffer.concat([u32(code), body])
  connection.write(bytes.subarray(0, random.below(bytes.length)))
  if (random.chance(0.5)) return
  connection.socket.end()
  await settled('the end of a connection closed by half', connection.readToEnd())
}

/** A data client, no better than the others. */
async function dataClient(random: Random, path: string): Promise<void> {
  const connection = await RawConnection.open(path).catch(ignore)
  if (!connection) return
  switch (random.below(6)) {
    case 0:
      connection.write(TPM2.getRandom().subarray(0, 1 + random.below(11)))
      break
    case 1:
      connection.socket.pause()
      for (let i = 0; i < 4000; i++) connection.write(TPM2.getRandom(32))
      break
    case 2:
      connection.write(random.bytes(random.below(9000)))
      break
    case 3:
      connection.write(TPM2.createPrimaryRsa(2048, random.bytes(8)))
      break
    case 4:
      connection.write(TPM2.getRandom())
      connection.socket.end()
      break
    default:
      connection.write(TPM2.startupClear)
      await settled('a response', connection.readResponse().catch(ignore))
  }
  for (let i = random.below(4); i > 0; i--) await turn()
  connection.close()
}

/** @returns how long the next client waited, in milliseconds */
async function assertServed(path: string): Promise<number> {
  const begun = performance.now()
  const connection = await RawConnection.open(path)
  connection.write(u32(1))
  const answer = await settled('GET_CAPABILITY of the next client', connection.read(8))
  assert.equal(answer.toString('hex'), '000000000001ffff', 'what the next client is answered')
  connection.close()
  return performance.now() - begun
}

describe('control clients of every kind', () => {
  it('are answered or turned away, and keep no other client waiting', async () => {
    let clients = 0
    let slowest = 0
    const rounds = await fuzz(3, async (random, t) => {
      const { swtpm, dataPath, controlPath } = await startSocketTpm(t)
      const model = new Model()
      /** An earlier client has left commands behind, with unknown effect. */
      let known = true
      const stray: Promise<void>[] = []
      for (let i = 0; i < CLIENTS_PER_ROUND; i++) {
        if (random.chance(0.4)) stray.push(dataClient(random, dataPath))
        const connection = await RawConnection.open(controlPath)
        const kind = random.below(6)
        if (kind <= 2) {
          if (!known) {
            connection.write(u32(0xe))
            assert.equal((await settled('STOP', connection.read(4))).readUInt32BE(), 0)
            model.running = false
            known = true
          }
          await orderly(random, connection, model, kind === 2)
        } else {
          known = false
          await [wrong, heedless, unfinished][kind - 3]?.(random, connection)
        }
        if (random.chance(0.3)) connection.socket.end()
        connection.close()
        clients++
        slowest = Math.max(slowest, await assertServed(controlPath))
        assert.ok(swtpm.running, `swtpm has ended: ${swtpm.stderr}`)
        assert.doesNotMatch(swtpm.stderr, /internal error|engine has ended/)
      }
      await Promise.all(stray)
      if (random.chance(0.5)) {
        const connection = await RawConnection.open(controlPath)
        connection.write(SHUTDOWN)
        assert.equal((await settled('SHUTDOWN', connection.read(4))).readUInt32BE(), 0)
        assert.equal(await settled('the end of swtpm', swtpm.exited), 0, swtpm.stderr)
      } else assert.equal(await settled('the end of swtpm', swtpm.stop()), 0, swtpm.stderr)
    })
    figure(
      'Fuzzer: control channel',
      `${rounds} rounds, ${clients} clients: no crash, no hang; the next one waited at most ${Math.ceil(slowest)} ms`,
    )
  })
})
