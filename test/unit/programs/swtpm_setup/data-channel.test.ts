/** How swtpm_setup takes responses that are none: each is one sentence with the command's name. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ToolFailure } from '../../../../src/programs/common/tool-failure.ts'
import { DataChannel } from '../../../../src/programs/swtpm_setup/data-channel.ts'
import { SocketConnection } from '../../../../src/ptm-client/socket-connection.ts'
import { createdKey } from '../../../../src/tpm-commands/tpm2-commands.ts'

/** Runs `use` with a channel to a TPM that answers each command as `answer` says. */
async function withTpm(
  answer: (socket: Socket) => void,
  use: (channel: DataChannel) => Promise<void>,
  timeoutMs = 60_000,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'swtpm-test-'))
  const path = join(folder, 'data')
  const server = createServer((socket) => socket.on('data', () => answer(socket)))
  server.listen(path)
  await once(server, 'listening')
  const connection = await SocketConnection.connect({ kind: 'unix', path }, timeoutMs)
  try {
    await use(new DataChannel(connection, { answer: timeoutMs, key: timeoutMs }))
  } finally {
    connection.close()
    server.close()
    rmSync(folder, { recursive: true })
  }
}

const command = Buffer.from('80010000000a00000000', 'hex')
const bytes = (hex: string) => (socket: Socket) => socket.write(Buffer.from(hex, 'hex'))
const failsWith = (message: RegExp) => (error: unknown) =>
  error instanceof ToolFailure && message.test(error.message)

test('a response in pieces comes whole, what follows it waits for the next command', async () => {
  const whole = '80010000000c00000000abcd'
  await withTpm(
    (socket) => {
      bytes(whole.slice(0, 6))(socket)
      setImmediate(() => bytes(`${whole.slice(6)}8001`)(socket))
    },
    async (channel) => {
      assert.equal((await channel.transmit('TPM2_GetRandom', command)).toString('hex'), whole)
    },
  )
})

test('a success that is a header only is refused with the name of the command', () =>
  withTpm(bytes('80010000000a00000000'), (channel) =>
    assert.rejects(
      channel.transmit('TPM2_CreatePrimary', command, createdKey),
      failsWith(/^TPM2_CreatePrimary failed: the TPM's response is too short$/),
    ),
  ))

for (const size of ['00000009', 'ffffffff']) {
  test(`a response that claims 0x${size} bytes is refused`, () =>
    withTpm(bytes(`8001${size}00000000`), (channel) =>
      assert.rejects(channel.transmit('TPM2_Startup', command), failsWith(/^TPM2_Startup failed: .* bytes$/)),
    ))
}

test('a TPM that answers an error is quoted', () =>
  withTpm(bytes('80010000000a00000101'), (channel) =>
    assert.rejects(
      channel.transmit('TPM2_Startup', command),
      failsWith(/^TPM2_Startup failed: 0x101 \(TPM_RC_FAILURE\)$/),
    ),
  ))

test('a TPM that does not answer is waited for only so long', () =>
  withTpm(
    () => {},
    (channel) =>
      assert.rejects(
        channel.transmit('TPM2_Startup', command),
        failsWith(/TPM2_Startup: no answer .* within/),
      ),
    50,
  ))

test('a TPM that hangs up is told of', () =>
  withTpm(
    (socket) => socket.destroy(),
    (channel) =>
      assert.rejects(
        channel.transmit('TPM2_Startup', command),
        failsWith(/TPM2_Startup: no answer .* closed/),
      ),
  ))
