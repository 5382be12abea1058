/**
 * Sends TPM commands and reads the responses, over a connection of its own for each command: a TPM server may close the
 * connection after one, and a device keeps others out while it is open.
 */

import { BIG } from '../../../contract/struct.ts'
import { describeAddress, type SocketAddress, type TpmAddress } from '../../ptm-client/tpm-address.ts'
import { tpmHeader } from '../../tpm-commands/command.ts'
import { ToolFailure } from '../common/tool-failure.ts'

/** Longest response of any TPM, in bytes; one read() takes it whole. */
const MAX_RESPONSE_BYTES = 4096
const CONNECT_TIMEOUT_MS = 20_000
const TAG_BYTES = 2

export type Transmit = (command: Buffer, timeoutMs: number, what: string) => Promise<Buffer>

/** @returns a function that throws SwtpmError or ToolFailure when there is no response, or none of a TPM */
export function tpmLink(address: TpmAddress): Transmit {
  return address.kind === 'device'
    ? (command, timeoutMs) => overDevice(address.path, command, timeoutMs)
    : (command, timeoutMs, what) => overSocket(address, command, timeoutMs, what)
}

async function overSocket(
  address: SocketAddress,
  command: Buffer,
  timeoutMs: number,
  what: string,
): Promise<Buffer> {
  const { SocketConnection } = await import('../../ptm-client/socket-connection.ts')
  const connection = await SocketConnection.connect(address, CONNECT_TIMEOUT_MS)
  try {
    connection.send(command)
    const tag = await connection.receive(TAG_BYTES, timeoutMs, what)
    // A control channel answers an unknown command by a result, a small number of four bytes.
    if (tag.readUInt16BE() === 0) {
      const place = describeAddress(address)
      throw unreachable(
        `Could not execute ${what}: ${place} answers as a control channel; name the data channel, swtpm's --server`,
      )
    }
    const rest = await connection.receive(tpmHeader.size - TAG_BYTES, timeoutMs, what)
    const header = Buffer.concat([tag, rest])
    const { size } = tpmHeader.decode(header, BIG)
    if (size < tpmHeader.size || size > MAX_RESPONSE_BYTES)
      throw malformed(address, `it claims ${size} bytes`)
    return Buffer.concat([header, await connection.receive(size - tpmHeader.size, timeoutMs, what)])
  } finally {
    connection.close()
  }
}

async function overDevice(path: string, command: Buffer, timeoutMs: number): Promise<Buffer> {
  const { GuardedDevice } = await import('../../ptm-client/guarded-device.ts')
  const device = GuardedDevice.ofTpm(path, timeoutMs)
  try {
    device.write(command, timeoutMs)
    const response = device.read(MAX_RESPONSE_BYTES, timeoutMs)
    const size = response.length < tpmHeader.size ? undefined : tpmHeader.decode(response, BIG).size
    if (size !== response.length) {
      throw malformed({ kind: 'device', path }, `${response.length} bytes that claim to be ${size ?? 'none'}`)
    }
    return response
  } finally {
    device.close()
  }
}

const malformed = (address: TpmAddress, reason: string): ToolFailure =>
  unreachable(`Malformed response from ${describeAddress(address)}: ${reason}; is it the TPM's data channel?`)

const unreachable = (text: string): ToolFailure => new ToolFailure(text, { exitCode: 255 })
