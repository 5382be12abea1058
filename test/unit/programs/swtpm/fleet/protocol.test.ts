import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  decodeAnswer,
  decodeRequest,
  encodeLine,
  type FleetRequest,
} from '../../../../../src/programs/swtpm/fleet/fleet-protocol.ts'

describe('requests to a fleet', () => {
  const requests: FleetRequest[] = [
    { verb: 'add', name: 'a', words: ['socket', '--tpm2'], directory: '/' },
    { verb: 'remove', name: 'a' },
    { verb: 'list' },
  ]
  for (const request of requests) {
    it(`${request.verb} comes back as it was, on one line`, () => {
      const line = encodeLine(request)
      assert.ok(!line.includes('\n'))
      assert.deepEqual(decodeRequest(line), request)
    })
  }
  const faults: [line: string, said: RegExp][] = [
    ['', /not JSON/],
    ['[]', /not a JSON object/],
    ['null', /not a JSON object/],
    ['{}', /"verb" is undefined/],
    ['{"verb":"add"}', /needs a "name"/],
    ['{"verb":"add","name":"a","words":[1],"directory":"/"}', /"words", a list of strings/],
    ['{"verb":"add","name":"a","words":[],"directory":"x"}', /an absolute path/],
    ['{"verb":"remove","name":1}', /needs a "name"/],
  ]
  for (const [line, said] of faults)
    it(`${line} is none`, () => assert.throws(() => decodeRequest(line), said))
})

describe('answers of a fleet', () => {
  it('are lists or errors', () => {
    assert.deepEqual(decodeAnswer('{"ok":true,"tpms":[]}'), { ok: true, tpms: [] })
    assert.deepEqual(decodeAnswer('{"ok":false,"error":"x"}'), { ok: false, error: 'x' })
    assert.throws(() => decodeAnswer('{"ok":true}'), /not an answer/)
  })
})
