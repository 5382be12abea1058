/** What a person is told when `swtpm socket` serves. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCommandLine } from '../../../../src/command-line/parse/parse-command-line.ts'
import { readyText } from '../../../../src/programs/swtpm/ready-line.ts'
import type { SocketConfig } from '../../../../src/serve/config.ts'

const textOf = (line: string): string =>
  readyText(parseCommandLine(`--tpmstate dir=/d ${line}`.split(' '), {}, 'socket') as unknown as SocketConfig)

const STARTED = '--tpm2 --flags startup-clear'

test('the TCTI to paste, where the control port is the next one', () => {
  assert.equal(
    textOf(`${STARTED} --server port=2321 --ctrl type=tcp,port=2322`),
    'TPM 2.0 ready: commands on 127.0.0.1:2321, control on 127.0.0.1:2322\n' +
      '  export TPM2TOOLS_TCTI=swtpm:host=127.0.0.1,port=2321',
  )
})

test('which control channel tpm2-tools need, where there is another one or none', () => {
  for (const control of ['', ' --ctrl type=tcp,port=2400', ' --ctrl type=unixio,path=/c'])
    assert.match(
      textOf(`${STARTED} --server port=2321${control}`),
      /\n {2}tpm2-tools need the control channel at the next port: --ctrl type=tcp,port=2322$/,
    )
})

test('by Unix sockets', () => {
  assert.match(
    textOf(`${STARTED} --server type=unixio,path=/s --ctrl type=unixio,path=/s.ctrl`),
    /commands on \/s, control on \/s\.ctrl\n {2}export TPM2TOOLS_TCTI=swtpm:path=\/s$/,
  )
  assert.match(textOf(`${STARTED} --server type=unixio,path=/s`), /--ctrl type=unixio,path=\/s\.ctrl$/)
})

test('that a TPM is off, and that a TPM 1.2 has no TCTI', () => {
  assert.match(
    textOf('--server port=2321'),
    /^TPM 1\.2 ready: commands on 127\.0\.0\.1:2321\n {2}It is off until it gets INIT/,
  )
})
