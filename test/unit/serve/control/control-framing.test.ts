import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ControlCommand, parseControlCommand } from '../../../../src/serve/control/control-framing.ts'

const parse = (hex: string): ControlCommand =>
  parseControlCommand(Buffer.from(hex.replace(/\s+/g, ''), 'hex'))

describe('parseControlCommand()', () => {
  const kinds: [hex: string, kind: ControlCommand['kind']][] = [
    ['', 'incomplete'],
    ['000000', 'incomplete'],
    ['00000000', 'unknown'],
    ['00000014', 'unknown'],
    ['ffffffff', 'unknown'],
    ['00000001', 'command'],
    ['00000001 ff', 'command'],
    ['0000000e', 'command'],
    ['0000000e ff', 'malformed'],
    ['00000002 000000', 'incomplete'],
    ['00000002 00000001', 'command'],
    ['00000002 00000001 00', 'malformed'],
    ['00000005', 'incomplete'],
    ['00000005 04', 'command'],
    ['00000005 04000000', 'command'],
    ['00000007 00000003 6162', 'incomplete'],
    ['00000007 00000003 616263', 'command'],
    ['00000007 00000003 61626364', 'malformed'],
    ['00000007 ffffffff', 'oversized'],
    ['0000000d 00000000 00000001 00080000', 'incomplete'],
    ['0000000d 00000000 00000001 00080001', 'oversized'],
  ]
  for (const [hex, kind] of kinds) it(`takes "${hex}" as ${kind}`, () => assert.equal(parse(hex).kind, kind))

  it('gives the request of the verb', () => {
    assert.deepEqual(parse('0000000c 00000001 00000002 00000003'), {
      kind: 'command',
      name: 'GET_STATEBLOB',
      request: { stateFlags: 1, type: 2, offset: 3 },
    })
  })

  it('says that a long body is on its way, and whose it is', () => {
    const command = parse('0000000d 00000000 00000001 00001000 00')
    assert.deepEqual(command, { kind: 'incomplete', bulk: true, name: 'SET_STATEBLOB' })
  })

  it('never throws and never reads past the end, whatever comes', () => {
    for (let code = 0; code < 0x16; code++) {
      for (let length = 0; length < 40; length++) {
        const bytes = Buffer.alloc(4 + length, 0xff)
        bytes.writeUInt32BE(code, 0)
        parseControlCommand(bytes)
        bytes.fill(0, 4)
        parseControlCommand(bytes)
      }
    }
  })
})
