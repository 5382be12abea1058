/**
 * What bad input is answered with, number by number: the reference's answers, which clients have come to rely on.
 */

import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { suiteCleanup } from '../support/suite.ts'
import { type SocketTpm, startSocketTpm } from '../support/swtpm.ts'
import { hex32, responseCode, TPM2, tpm2 } from '../support/tpm-commands.ts'

describe('data channel', () => {
  const suite = suiteCleanup()
  let tpm: SocketTpm
  let data: RawConnection

  before(async () => {
    tpm = await startSocketTpm(suite)
    data = await RawConnection.open(tpm.dataPath)
    suite.after(() => data.close())
  })

  const getRandom = TPM2.getRandom()
  const sized = (size: number): Buffer => {
    const command = Buffer.from(getRandom)
    command.writeUInt32BE(size, 2)
    return command
  }
  const cases: [what: string, command: Buffer, code: number][] = [
    ['size field 0', sized(0), 0x142],
    ['size field 9', sized(9), 0x142],
    ['size field one too small', sized(11), 0x142],
    ['size field one too large', sized(13), 0x142],
    ['size field 4097', sized(4097), 0x142],
    ['two commands in one write', Buffer.concat([getRandom, getRandom]), 0x142],
    ['header only', tpm2(0x17b), 0x1da],
    ['bad tag', Buffer.from('80030000000c0000017b0008', 'hex'), 0x84],
    ['sessions tag without an area', Buffer.from('80020000000c0000017b0008', 'hex'), 0x9a],
    ['unknown command code', tpm2(0xdeadbeef), 0x143],
    ['authSize 0', tpm2(0x182, ['00000010', '00000000', '00000000'], true), 0x95],
    ['authSize too large', tpm2(0x182, ['00000010', '0000ffff', '400000090000000000'], true), 0x95],
    ['SetLocality where it is not allowed', Buffer.from('80010000000b2000100003', 'hex'), 0x101],
  ]
  for (const [what, command, code] of cases) {
    it(`answers ${what} with 0x${code.toString(16)}, once`, async () => {
      data.write(command)
      assert.equal(responseCode(await data.readResponse()), code)
      data.write(getRandom)
      assert.equal(responseCode(await data.readResponse()), 0)
      assert.equal(data.unread, 0)
    })
  }

  it('takes a command in two writes', async () => {
    data.write(getRandom.subarray(0, 7))
    await new Promise((resolve) => setImmediate(resolve))
    data.write(getRandom.subarray(7))
    assert.equal(responseCode(await data.readResponse()), 0)
  })

  it('answers fewer bytes than a header with an error and goes on', async () => {
    data.write('8001')
    assert.notEqual(responseCode(await data.readResponse()), 0)
    data.write(getRandom)
    assert.equal(responseCode(await data.readResponse()), 0)
  })

  it('takes the TCG prefix and answers with one', async () => {
    data.write(
      Buffer.concat([
        Buffer.from('0000000800', 'hex'),
        Buffer.from(hex32(getRandom.length), 'hex'),
        getRandom,
      ]),
    )
    const length = (await data.read(4)).readUInt32BE()
    const response = await data.read(length)
    assert.equal(responseCode(response), 0)
    assert.equal((await data.read(4)).readUInt32BE(), 0)
  })
})

describe('locality of the TCG prefix', () => {
  /** PCR 17 takes extends from localities 2 to 4 only. */
  const extendPcr17 = tpm2(
    0x182,
    [hex32(17), '00000009 40000009 0000 00 0000', hex32(1), `000b${'11'.repeat(32)}`],
    true,
  )
  const LOCALITY = 0x907
  /** The engine's answer, to a prefix that is not allowed. */
  const REFUSED = 0x107

  async function withPrefix(data: RawConnection, locality: number): Promise<number> {
    const length = Buffer.from(hex32(extendPcr17.length), 'hex')
    data.write(Buffer.concat([Buffer.from([0, 0, 0, 8, locality]), length, extendPcr17]))
    const response = await data.read((await data.read(4)).readUInt32BE())
    await data.read(4)
    return responseCode(response)
  }

  async function without(data: RawConnection): Promise<number> {
    data.write(extendPcr17)
    return responseCode(await data.readResponse())
  }

  it('is not above that of the control channel, and ends with the command', async (t) => {
    const tpm = await startSocketTpm(t, ['--tpm2', '--flags', 'startup-clear'])
    const [data, control] = await Promise.all([
      RawConnection.open(tpm.dataPath),
      RawConnection.open(tpm.controlPath),
    ])
    t.after(() => {
      data.close()
      control.close()
    })
    assert.equal(await without(data), LOCALITY)
    assert.equal(await withPrefix(data, 4), REFUSED)
    assert.equal(await withPrefix(data, 0), LOCALITY)
    control.write('00000005 03')
    assert.equal((await control.read(4)).readUInt32BE(), 0)
    assert.equal(await withPrefix(data, 4), REFUSED)
    assert.equal(await withPrefix(data, 2), 0)
    assert.equal(await withPrefix(data, 0), LOCALITY)
    assert.equal(await without(data), 0)
  })

  it('is free with --locality allow-set-locality, and still ends with the command', async (t) => {
    const options = [
      '--tpm2',
      '--flags',
      'startup-clear',
      '--locality',
      'allow-set-locality,reject-locality-4',
    ]
    const data = await RawConnection.open((await startSocketTpm(t, options)).dataPath)
    t.after(() => data.close())
    assert.equal(await withPrefix(data, 3), 0)
    assert.equal(await without(data), LOCALITY)
    assert.equal(await withPrefix(data, 4), REFUSED)
  })
})

describe('control channel', () => {
  const suite = suiteCleanup()
  let tpm: SocketTpm
  let control: RawConnection

  before(async () => {
    tpm = await startSocketTpm(suite)
    control = await RawConnection.open(tpm.controlPath)
    suite.after(() => control.close())
  })

  const cases: [what: string, request: string, reply: string][] = [
    ['an unknown code', '000000ff', '0000000a'],
    ['extra bytes on a command without a body', '0000000f 00', '00000003'],
    ['extra bytes on INIT', '00000002 0000000000', '00000003'],
    ['locality 5', '00000005 05', '0000003d'],
    ['locality 5 for RESET_TPMESTABLISHED', '0000000b 05', '0000003d'],
    ['SET_LOCALITY with the whole union, as QEMU sends it', '00000005 00000000', '00000000'],
    // QEMU and swtpm_ioctl always read this much.
    ['a bad blob type', '0000000c 00000000 00000007 00000000', `00000800${'00'.repeat(12)}`],
    ['SET_STATEBLOB on a running TPM', '0000000d 00000000 00000001 00000004 00000000', '0000000a'],
    ['SET_BUFFERSIZE of a running TPM', '00000011 00001000', '0000000a'],
    ['SET_DATAFD without a descriptor', '00000010', '0000001f'],
  ]
  for (const [what, request, reply] of cases) {
    it(`answers ${what} with ${reply}`, async () => {
      control.write(request)
      assert.equal((await control.read(reply.length / 2)).toString('hex'), reply)
      control.write(CMD.GET_CAPABILITY)
      assert.equal((await control.read(8)).toString('hex'), '000000000001ffff')
      assert.equal(control.unread, 0)
    })
  }

  it('gives no bytes for an offset past the end', async () => {
    control.write(`${CMD.GET_STATEBLOB} 00000000 00000001 00ffffff`)
    const reply = await control.read(16)
    assert.equal(reply.readUInt32BE(0), 0)
    assert.equal(reply.readUInt32BE(12), 0)
  })

  it('closes when a body stays short', async () => {
    const other = await reconnect()
    other.write('00000002 0000')
    assert.equal((await other.readToEnd()).length, 0)
    control = await RawConnection.open(tpm.controlPath)
  })

  it('closes on a blob of more than 512 KiB', async () => {
    const other = await reconnect()
    other.write('0000000d 00000000 00000001 00080001')
    assert.equal((await other.readToEnd()).length, 0)
    control = await RawConnection.open(tpm.controlPath)
  })

  it('refuses verbs that need a running TPM once it has stopped', async () => {
    control.write(CMD.STOP)
    assert.equal((await control.read(4)).readUInt32BE(), 0)
    for (const request of [
      '00000004',
      '0000000b00',
      '00000006',
      '00000009',
      '0000000a',
      '0000000c000000000000000100000000',
    ]) {
      control.write(request)
      assert.equal((await control.read(4)).readUInt32BE(), 0x0a, request)
    }
    for (const [garbage, result] of [
      ['00000004 deadbeef', 3],
      ['00000008 deadbeefdeadbeef', 3],
    ] as const) {
      control.write(`0000000d 00000000 00000001 ${garbage}`)
      assert.equal((await control.read(4)).readUInt32BE(), result)
    }
    control.write(`${CMD.SET_STATEBLOB} 00000000 00000007 00000004 deadbeef`)
    assert.equal((await control.read(4)).readUInt32BE(), 3)
  })

  it('lets a stopped TPM answer every command with failure', async () => {
    const data = await RawConnection.open(tpm.dataPath)
    data.write(TPM2.getRandom())
    assert.equal((await data.readResponse()).toString('hex'), '80010000000a00000101')
    data.close()
  })

  async function reconnect(): Promise<RawConnection> {
    control.close()
    return RawConnection.open(tpm.controlPath)
  }
})
