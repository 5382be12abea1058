import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { givenEndpoint, parseTcp } from '../../../../src/programs/common/endpoint-option.ts'
import { readOptions } from '../../../../src/programs/common/options/read-options.ts'
import { ioctlOptions } from '../../../../src/programs/swtpm_ioctl/ioctl-options.ts'

describe('parseTcp()', () => {
  const accepted: readonly [text: string, host: string, port: number][] = [
    ['host', 'host', 6546],
    ['host:1', 'host', 1],
    [':65535', '127.0.0.1', 65535],
    [':', '127.0.0.1', 6546],
    ['::1:7000', '::1', 7000],
    ['[::1]:7000', '::1', 7000],
    ['[fe80::1%eth0]', 'fe80::1%eth0', 6546],
  ]
  for (const [text, host, port] of accepted) {
    it(`reads ${text}`, () => assert.deepEqual(parseTcp(text, 6546), { kind: 'tcp', host, port }))
  }

  const refused: readonly [text: string, message: string][] = [
    [':abc', "Invalid port 'abc'"],
    ['host:', "Invalid port ''"],
    ['host:-1', "Invalid port '-1'"],
    [':65536', "Port '65536' outside valid range."],
  ]
  for (const [text, message] of refused) {
    it(`refuses ${text}`, () => assert.throws(() => parseTcp(text, 6546), { message, exitCode: 1 }))
  }
})

describe('givenEndpoint()', () => {
  const endpointOf = (line: string) =>
    givenEndpoint(readOptions(ioctlOptions, line.split(' '), { singleDash: true }), 6546)

  it('takes the device before TCP, TCP before the Unix socket, and the last of each', () => {
    const unix = '--unix /a --unix /b'
    assert.deepEqual(endpointOf(unix), { kind: 'unix', path: '/b' })
    assert.deepEqual(endpointOf(`${unix} --tcp :1`), { kind: 'tcp', host: '127.0.0.1', port: 1 })
    assert.deepEqual(endpointOf(`${unix} --tcp :1 --tpm-device /dev/x`), { kind: 'device', path: '/dev/x' })
  })

  it('checks a port even if the device is used', () => {
    assert.throws(() => endpointOf('--tpm-device /dev/x --tcp :x'), /Invalid port/)
  })

  it('leaves the choice open where nothing is named', () => assert.equal(endpointOf('-c'), undefined))
})
