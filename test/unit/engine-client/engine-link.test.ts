/** The channel to an engine that has been broken into: what it says is checked, and it does not live on. */
import assert from 'node:assert/strict'
import { openSync } from 'node:fs'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { encodeFrame, FRAME_KIND, frameHeader } from '../../../contract/engine-channel.ts'
import { ENGINE_EVENTS } from '../../../contract/engine-events.ts'
import { ENGINE_REQUESTS, engineCode } from '../../../contract/engine-requests.ts'
import { BIG } from '../../../contract/struct.ts'
import { controlCode, VERBS, type VerbName } from '../../../contract/verbs.ts'
import { EngineLink } from '../../../src/engine-client/channel/engine-link.ts'
import { DescriptorSocket } from '../../../src/system/io/descriptor-socket.ts'
import { native } from '../../../src/system/native/load.ts'
import { ENGINE_DEFAULTS } from '../../support/engine-defaults.ts'

/** A link, and the other end of its channel. */
class Trial {
  readonly link: EngineLink
  readonly heard: string[] = []
  readonly #engine: DescriptorSocket
  killed = false
  /** Does not end as soon as it is killed, but by {@link dies}. */
  lingers = false
  readonly dies: () => void
  /** Its end of the channel has been closed by the link. */
  hungUp = false

  constructor(t: TestContext) {
    let end!: (reason: string) => void
    const ended = new Promise<string>((resolve) => {
      end = resolve
    })
    let theirs = -1
    this.dies = () => end('it was killed by SIGKILL')
    const kill = (): void => {
      this.killed = true
      if (!this.lingers) this.dies()
    }
    const spawner = {
      gone: new Promise<void>(() => {}),
      spawn: (_: unknown, fds: { channel: number }) => {
        theirs = native.duplicate(fds.channel)
        return { pid: Promise.resolve(1), ended, kill }
      },
    }
    const options = { spawner, engine: { ...ENGINE_DEFAULTS, stateFd: -1 }, sharedStateFd: -1, fresh: false }
    this.link = EngineLink.start(options, {
      event: (name) => this.heard.push(name),
      ended: (reason) => this.heard.push(reason),
    })
    native.setNonBlocking(theirs, true)
    this.#engine = new DescriptorSocket(theirs)
    this.#engine.on('close', () => {
      this.hungUp = true
    })
    t.after(() => {
      this.#engine.close()
      this.link.kill()
    })
  }

  says(bytes: Buffer, fds: readonly number[] = []): void {
    this.#engine.write(bytes, fds)
  }

  /** What the link makes of an answer to `code`. */
  async answer(code: number, body: Buffer, fds: readonly number[] = []): Promise<string> {
    const asked = this.link.request(code, Buffer.alloc(0)).then(
      () => 'taken',
      (error) => String(error.message),
    )
    this.says(Buffer.concat([header(FRAME_KIND.reply, 1, body.length), body]), fds)
    return asked
  }

  async untilEnded(): Promise<void> {
    while (!this.link.ended) await turn()
    assert.ok(this.killed)
    assert.match(this.heard.at(-1) ?? '', /broke the protocol/)
  }
}

const header = (kind: number, id: number, length: number): Buffer =>
  frameHeader.encode({ length, kind, id }, BIG)
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

const CODES: [string, number, number][] = [
  ...(Object.keys(VERBS) as VerbName[])
    .filter((name) => name !== 'GET_CAPABILITY')
    .map((name): [string, number, number] => [name, controlCode(name), VERBS[name].resp.fixedSize]),
  ...Object.entries(ENGINE_REQUESTS).map(([name, { code, resp }]): [string, number, number] => [
    name,
    code,
    resp.fixedSize,
  ]),
]

describe('a reply of an engine', () => {
  it('is taken as the contract has it, a failure as its result alone', async (t) => {
    for (const [name, code, size] of CODES) {
      assert.equal(await new Trial(t).answer(code, Buffer.alloc(size)), 'taken', name)
      assert.equal(await new Trial(t).answer(code, hex('00000009')), 'taken', name)
    }
  })

  it('ends it in any other form, whatever was asked', async (t) => {
    for (const [name, code, size] of CODES) {
      const wrong = [0, 2, size - 1, size + 1].map((bytes) => Buffer.alloc(bytes))
      for (const body of [...wrong, hex('00000009 00')]) {
        const trial = new Trial(t)
        assert.match(await trial.answer(code, body), /broke the protocol/, `${name}: ${body.length} bytes`)
        await trial.untilEnded()
      }
    }
  })

  it('ends it where it counts other bytes than there are', async (t) => {
    const size = VERBS.GET_STATEBLOB.resp.fixedSize
    const blob = Buffer.alloc(size + 2)
    blob.writeUInt32BE(2, size - 4)
    assert.equal(await new Trial(t).answer(controlCode('GET_STATEBLOB'), blob), 'taken')
    for (const length of [0, 1, 3, 0xffff_ffff]) {
      blob.writeUInt32BE(length, size - 4)
      const trial = new Trial(t)
      assert.match(await trial.answer(controlCode('GET_STATEBLOB'), blob), /broke the protocol/)
    }
  })

  it('ends it where nobody has asked', async (t) => {
    const trial = new Trial(t)
    trial.says(Buffer.concat([header(FRAME_KIND.reply, 7, 4), Buffer.alloc(4)]))
    await trial.untilEnded()
  })

  it('brings a descriptor with HAND_OVER, one, and with nothing else', async (t) => {
    const fd = (): number => openSync('/dev/null', 'r')
    const trial = new Trial(t)
    assert.equal(await trial.answer(engineCode('HAND_OVER'), Buffer.alloc(4), [fd()]), 'taken')
    assert.ok((trial.link.takeFd() ?? -1) > 2)
    for (const [code, fds] of [
      [engineCode('HAND_OVER'), [fd(), fd()]],
      [engineCode('SET_STORAGE'), [fd()]],
    ] as const) {
      const evil = new Trial(t)
      assert.match(await evil.answer(code, Buffer.alloc(4), fds), /descriptors that nobody has asked for/)
      await evil.untilEnded()
    }
  })
})

describe('an event of an engine', () => {
  it('ends it where it does not fit', async (t) => {
    const event = (type: number, payload: Buffer): Buffer => encodeFrame(FRAME_KIND.event, 0, type, payload)
    const { READY, LOG, CLIENT_CLOSED, FUSE_REQUEST, STORAGE_NEEDED, TRACE } = ENGINE_EVENTS
    for (const [what, bytes] of [
      ['no type', Buffer.concat([header(FRAME_KIND.event, 0, 2), Buffer.alloc(2)])],
      ['an unknown type', event(77, Buffer.alloc(0))],
      ['READY without a version', event(READY.type, Buffer.alloc(7))],
      ['READY with more', event(READY.type, Buffer.alloc(9))],
      ['LOG without a level', event(LOG.type, Buffer.alloc(2))],
      ['CLIENT_CLOSED without a number', event(CLIENT_CLOSED.type, Buffer.alloc(0))],
      ['FUSE_REQUEST of three bytes', event(FUSE_REQUEST.type, Buffer.alloc(3))],
      ['STORAGE_NEEDED with more', event(STORAGE_NEEDED.type, Buffer.alloc(1))],
      ['TRACE of four bytes', event(TRACE.type, Buffer.alloc(4))],
      ['another kind of frame', header(4, 0, 0)],
      ['a frame of 4 GiB', header(FRAME_KIND.event, 0, 0xffff_ffff)],
      ['a request', event(READY.type, Buffer.alloc(8)).fill(1, 7, 8)],
    ] as const) {
      const trial = new Trial(t)
      trial.says(bytes)
      await trial.untilEnded()
      assert.equal(trial.heard.length, 1, what)
    }
  })
})

describe('an engine that is killed', () => {
  it('is not told so before it has ended, as it would power its TPM off, and is not heard any more', async (t) => {
    const trial = new Trial(t)
    trial.lingers = true
    await trial.link.started
    trial.says(Buffer.concat([header(FRAME_KIND.event, 0, 4), hex('ffffffff')]))
    while (!trial.killed) await turn()
    const asked = assert.rejects(trial.link.request(engineCode('HAND_OVER'), Buffer.alloc(0)))
    trial.says(Buffer.concat([header(FRAME_KIND.reply, 1, 4), hex('00000000')]), [openSync('/dev/null', 'r')])
    assert.equal(trial.link.save(), undefined)
    const closed = trial.link.close()
    for (let turns = 0; turns < 20; turns++) await turn()
    assert.equal(trial.hungUp, false)
    assert.deepEqual(trial.heard, [])
    trial.dies()
    assert.equal(await closed, true)
    await asked
    while (!trial.hungUp) await turn()
  })
})
