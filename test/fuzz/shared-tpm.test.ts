/**
 * Clients of one TPM (`--resource-manager`): one sends commands of every kind, with handles that are its own, others' and the TPM's;
 * another one keeps what it has, and each command is answered once.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { figure } from '../hard/support/scale.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { SpaceClient } from '../support/space-client.ts'
import { startSocketTpm } from '../support/swtpm.ts'
import { EMPTY_PASSWORD, hex32, responseCode, TPM2, tpm2 } from '../support/tpm-commands.ts'
import { EDGES, mutate, type Random } from './random.ts'
import { fuzz, settled } from './rounds.ts'

const SHORT_ROUNDS = 2
const COMMANDS_PER_ROUND = 400
const LOOK_EVERY = 40
/** Those that take a hierarchy or the TPM away from all clients: they are every client's right. */
const FOR_ALL = new Set([0x121, 0x124, 0x125, 0x126, 0x127, 0x144, 0x145])

const session = (handle: number): string => `00000009 ${hex32(handle)} 0000 01 0000`

function command(random: Random, handles: readonly number[], contexts: readonly Buffer[]): Buffer {
  const handle = random.pick(handles)
  const text = random.bytes(random.below(40))
  const area = random.chance(0.5) ? EMPTY_PASSWORD : session(random.pick(handles))
  const whole = random.pick([
    () => TPM2.createPrimaryEcc,
    () => TPM2.startPolicySession,
    () => tpm2(0x186, [0, '000b']),
    () =>
      tpm2(0x176, [hex32(handle), hex32(random.pick(handles)), 16, text.subarray(0, 16), 0, '00 0010 000b']),
    () => tpm2(0x15c, [hex32(handle), area, text.length, text], true),
    () => tpm2(0x13e, [hex32(handle), area, text.length, text, '40000007'], true),
    () => TPM2.readPublic(handle),
    () => TPM2.flushContext(handle),
    () => TPM2.policyGetDigest(handle),
    () => TPM2.getHandles(random.chance(0.5) ? handle : random.word()),
    () => tpm2(0x162, [hex32(handle)]),
    () => tpm2(0x161, [contexts.length === 0 ? text : random.pick(contexts)]),
    () => tpm2(0x157, [hex32(handle), area, text.length, text, text.length, text], true),
    () => tpm2(0x182, ['00000010', area, '00000001 000b', Buffer.alloc(32, 1)], true),
    () =>
      tpm2(
        0x11f + random.below(0x80),
        [hex32(handle), hex32(random.pick(handles)), area, text],
        random.chance(0.7),
      ),
  ])()
  if (random.chance(0.6)) return whole
  const changed = mutate(random, Buffer.from(whole)).subarray(0, 4096)
  if (changed.length >= 6 && random.chance(0.9)) changed.writeUInt32BE(changed.length, 2)
  return changed
}

describe('clients of one TPM', () => {
  it('lose nothing to one that sends anything', async () => {
    let commands = 0
    const rounds = await fuzz(SHORT_ROUNDS, async (random, t) => {
      const tpm = await startSocketTpm(t, ['--tpm2', '--flags', 'startup-clear', '--resource-manager'])
      const open = async (): Promise<{ connection: RawConnection; client: SpaceClient }> => {
        const connection = await RawConnection.open(tpm.dataPath)
        t.after(() => connection.close())
        return { connection, client: new SpaceClient((bytes) => connection.exchange(bytes)) }
      }
      const { client: victim } = await open()
      const owned = [
        await victim.newKey(),
        await victim.newKey(),
        await victim.newSession(),
        await victim.newSession(),
      ]
      const listed = await victim.own()
      const names: Buffer[] = []
      for (const key of owned.slice(0, 2)) names.push(await victim.succeed(TPM2.readPublic(key)))
      let { connection } = await open()
      const contexts: Buffer[] = []
      const handles = [
        ...owned,
        ...EDGES,
        0x80000000,
        0x80000001,
        0x80000002,
        0x80fffff0,
        0x40000001,
        0x40000007,
      ]
      for (let n = 0; n < 6; n++) handles.push(0x02000000 + n, 0x03000000 + n)
      for (let i = 0; i < COMMANDS_PER_ROUND; i++) {
        const bytes = command(random, handles, contexts)
        if (bytes.length < 10 || bytes.readUInt32BE(2) !== bytes.length || FOR_ALL.has(bytes.readUInt32BE(6)))
          continue
        const what = `command ${i}, ${bytes.toString('hex')}`
        const response = await settled(what, connection.exchange(bytes))
        commands++
        assert.equal(connection.unread, 0, what)
        if (responseCode(response) === 0 && response.length >= 14) {
          handles[random.below(handles.length)] = response.readUInt32BE(10)
          if (bytes.readUInt32BE(6) === 0x162) contexts.push(response.subarray(10))
        }
        if (random.chance(0.01)) {
          connection.close()
          connection = (await open()).connection
        }
        if (i % LOOK_EVERY !== 0) continue
        assert.deepEqual(await victim.own(), listed, what)
        for (const [k, name] of names.entries())
          assert.deepEqual(await victim.succeed(TPM2.readPublic(owned[k] as number)), name, what)
        for (const policy of owned.slice(2)) await victim.succeed(TPM2.policyGetDigest(policy))
      }
      connection.close()
      assert.equal(await tpm.swtpm.stop(), 0)
    })
    figure(
      'Fuzzer: clients of one TPM',
      `${rounds} rounds, ${commands} commands: another client has lost nothing`,
    )
  })
})
