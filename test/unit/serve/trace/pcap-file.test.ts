import assert from 'node:assert/strict'
import { openSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { PcapFile } from '../../../../src/serve/trace/pcap-file.ts'
import { temporaryDirectory } from '../../../support/swtpm.ts'

/** The blocks of a pcapng file in host byte order: type and body. */
function blocks(file: Buffer): { type: number; body: Buffer }[] {
  const found = []
  for (let at = 0; at < file.length; ) {
    const length = file.readUInt32LE(at + 4)
    assert.equal(length % 4, 0)
    assert.equal(file.readUInt32LE(at + length - 4), length, 'the length stands at both ends')
    found.push({ type: file.readUInt32LE(at), body: file.subarray(at + 8, at + length - 4) })
    at += length
  }
  return found
}

const word16 = (bytes: Buffer): number => {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) | (bytes[at + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return sum
}

describe('PcapFile', () => {
  it('writes a conversation that any analyser reads, with right checksums', (t) => {
    const path = `${temporaryDirectory(t)}/trace.pcapng`
    const file = new PcapFile({
      destination: { kind: 'file', path },
      mode: 0o600,
      truncate: false,
      checksums: true,
    })
    file.record('command', 1_700_000_000_123_456n, Buffer.from('command'))
    file.record('response', 1_700_000_000_123_999n, Buffer.from('the response'))
    file.close()
    assert.equal(statSync(path).mode & 0o777, 0o600)
    const all = blocks(readFileSync(path))
    assert.deepEqual(
      all.map(({ type }) => type),
      [0x0a0d0d0a, 1, 6, 6, 6, 6, 6, 6, 6, 6],
    )
    const packets = all.slice(2).map(({ body }) => ({
      time: (BigInt(body.readUInt32LE(4)) << 32n) | BigInt(body.readUInt32LE(8)),
      frame: body.subarray(20, 20 + body.readUInt32LE(12)),
    }))
    assert.equal(packets[3]?.time, 1_700_000_000_123_456n)
    assert.equal(packets[3]?.frame.subarray(54).toString(), 'command')
    assert.equal(packets[4]?.frame.subarray(54).toString(), 'the response')
    for (const { frame } of packets) {
      const ip = frame.subarray(14)
      assert.equal(word16(ip.subarray(0, 20)), 0xffff, 'IP checksum')
      const pseudo = Buffer.concat([ip.subarray(12, 20), Buffer.from([0, 6, 0, ip.length - 20])])
      assert.equal(word16(Buffer.concat([pseudo, ip.subarray(20)])), 0xffff, 'TCP checksum')
    }
    // Each side's sequence number goes on by what it has sent.
    const sequence = (n: number): number => packets[n]!.frame.readUInt32BE(38)
    assert.equal(sequence(3), (sequence(0) + 1) >>> 0)
    assert.equal(sequence(5), (sequence(3) + 7) >>> 0)
  })

  it('appends a section, or begins anew with truncate', (t) => {
    const path = `${temporaryDirectory(t)}/trace.pcapng`
    const config = {
      destination: { kind: 'file', path },
      mode: 0o640,
      truncate: false,
      checksums: false,
    } as const
    new PcapFile(config).close()
    const once = statSync(path).size
    new PcapFile(config).close()
    assert.equal(statSync(path).size, 2 * once)
    new PcapFile({ ...config, truncate: true }).close()
    assert.equal(statSync(path).size, once)
  })

  it('writes at the end of the file of a descriptor, or begins it anew, and gives it the mode', (t) => {
    const path = `${temporaryDirectory(t)}/trace`
    writeFileSync(path, 'kept', { mode: 0o600 })
    for (const truncate of [false, true]) {
      const fd = openSync(path, 'r+')
      new PcapFile({ destination: { kind: 'fd', fd }, mode: 0o765, truncate, checksums: false }).close()
      assert.equal(statSync(path).mode & 0o777, 0o765)
      const bytes = readFileSync(path)
      assert.equal(bytes.indexOf(Buffer.from('0a0d0d0a', 'hex')), truncate ? 0 : 4)
    }
  })

  it('follows no link and says what it could not open', (t) => {
    const directory = temporaryDirectory(t)
    writeFileSync(`${directory}/file`, '')
    assert.throws(
      () =>
        new PcapFile({
          destination: { kind: 'file', path: `${directory}/file/x` },
          mode: 0o640,
          truncate: false,
          checksums: false,
        }),
      /Cannot open pcap file ".*file\/x": not a directory/,
    )
  })
})
