/** What `swtpm trace` reads of the C program, and what Wireshark's dissector says of the pcapng file of a kernel's boot. */
import assert from 'node:assert/strict'
import { createReadStream, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { exchangesFrom } from '../../src/recordings/exchanges.ts'
import { readRecordingLine } from '../../src/recordings/tpmrec.ts'
import { PcapFile } from '../../src/serve/trace/pcap-file.ts'
import { exchangeLine, type TracedExchange } from '../../src/tpm-structures/exchange-text.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { bin, projectRoot, REFERENCE_SWTPM, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { tool } from '../support/tools.ts'
import { TPM2 } from '../support/tpm-commands.ts'

const without = (program: string): string | false => !existsSync(program) && `there is no ${program}`

test('the log of the C program at level 20', { skip: without(REFERENCE_SWTPM) }, async (t) => {
  const log = join(temporaryDirectory(t), 'log')
  const { swtpm, dataPath } = await startSocketTpm(
    t,
    ['--tpm2', '--flags', 'not-need-init,startup-clear', '--log', `level=20,file=${log}`],
    { program: REFERENCE_SWTPM },
  )
  const data = await RawConnection.open(dataPath)
  await data.exchange(TPM2.getRandom())
  data.close()
  await swtpm.stop()
  assert.match(
    await tool(bin('swtpm'), ['trace', log]),
    /^GetRandom bytesRequested \d+ +→ SUCCESS randomBytes [0-9a-f]+/m,
  )
})

const TSHARK = '/usr/bin/tshark'

for (const kernel of ['6.1', '6.12'])
  test(`tshark finds each command and response of a boot of ${kernel}, and none malformed`, {
    skip: without(TSHARK),
  }, async (t) => {
    const [, ...lines] = readFileSync(
      join(projectRoot, `test/vectors/exchanges/boot-${kernel}.tpmrec`),
      'utf8',
    )
      .trimEnd()
      .split('\n')
    const exchanges = lines.map((line) => readRecordingLine(JSON.parse(line)) as TracedExchange)
    const path = join(temporaryDirectory(t), 'boot.pcapng')
    const file = new PcapFile({
      destination: { kind: 'file', path },
      mode: 0o600,
      truncate: true,
      checksums: true,
    })
    for (const { at, duration, command, response } of exchanges) {
      const us = (seconds: number) => BigInt(Math.round((1_700_000_000 + seconds) * 1e6))
      file.record('command', us(at!), Buffer.from(command))
      file.record('response', us(at! + duration!), Buffer.from(response!))
    }
    file.close()
    const dissected = (filter: string) =>
      tool(TSHARK, ['-n', '-r', path, '-Y', filter, '-T', 'fields', '-e', 'frame.number'])
    const count = (text: string) => text.split('\n').filter((line) => line !== '').length
    assert.equal(count(await dissected('tpm && tcp.dstport == 2321')), exchanges.length)
    assert.equal(count(await dissected('tpm && tcp.srcport == 2321')), exchanges.length)
    assert.equal(count(await dissected('_ws.malformed')), 0)
    // Linux gives the SetLocality of its proxy the tag of sessions, and no sessions: the file says that it has another one here.
    assert.equal(count(await dissected('frame.comment contains "8002"')), 1)
    // It still is what it was.
    const read = []
    for await (const exchange of exchangesFrom(createReadStream(path), assert.fail)) read.push(exchange)
    const words = (all: readonly TracedExchange[]) =>
      all.map(({ command, response }) =>
        exchangeLine(
          { at: undefined, duration: undefined, locality: 0, command, response },
          { secrets: false },
        ),
      )
    assert.deepEqual(words(read), words(exchanges))
  })
