/** `--log level=2`: the bytes of control and TPM commands and of their answers. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { TPM2 } from '../support/tpm-commands.ts'

const GET_STATEBLOB_PERMANENT = '0000000c 00000000 00000001 00000000'

for (const level of [1, 2]) {
  it(`level ${level}`, async (t) => {
    const file = join(temporaryDirectory(t), 'log')
    const { swtpm, dataPath, controlPath } = await startSocketTpm(t, [
      ...['--tpm2', '--log', `file=${file},level=${level}`],
    ])
    const control = await RawConnection.open(controlPath)
    control.write(`${CMD.INIT} 00000000`)
    assert.equal((await control.read(4)).readUInt32BE(), 0)
    const data = await RawConnection.open(dataPath)
    data.write(TPM2.startupClear)
    await data.readResponse()
    control.write(GET_STATEBLOB_PERMANENT)
    const blob = await control.read((await control.read(16)).readUInt32BE(12))
    assert.equal(await swtpm.stop(), 0)

    const text = readFileSync(file, 'utf8')
    const passed = [
      ' Ctrl Cmd: length 8\n 00 00 00 02 00 00 00 00 \n',
      ' Ctrl Rsp: length 4\n 00 00 00 00 \n',
      ' SWTPM_IO_Read: length 12\n 80 01 00 00 00 0C 00 00 01 44 00 00 \n',
      ' SWTPM_IO_Write: length 10\n 80 01 00 00 00 0A 00 00 00 00 \n',
      ' Ctrl Rsp without the state: length 16\n',
    ]
    let from = 0
    for (const lines of passed) {
      const at = text.indexOf(lines, from)
      assert.equal(at >= 0, level === 2, lines)
      from = Math.max(from, at)
    }
    const state = blob.subarray(64, 80).toString('hex').replace(/../g, '$& ').toUpperCase()
    assert.equal(text.includes(state), false, 'no secrets')
  })
}
