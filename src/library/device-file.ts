/** Commands to a TPM as its other clients send them: through a device or a socket. */
import { type FileHandle, open } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import type { TpmVersion } from '../../contract/engine-options.ts'
import { TPM_BUFFER_SIZE_BYTES } from '../../contract/limits.ts'
import { fromHex } from '../responders/effects/instead.ts'
import { Response } from '../responders/response.ts'
import { describeErrno } from '../system/reason.ts'
import { decodeCommand } from '../tpm-structures/decode-command.ts'
import { HEADER_BYTES } from '../tpm-structures/message.ts'

/** An open device or connection. */
export interface DeviceFile extends AsyncDisposable {
  /**
   * Sends a command and reads the response.
   * @param command bytes, or hexadecimal digits
   * @throws Error with the `code` of the errno that write() or read() gave, such as `ETIME`
   */
  exchange(command: Buffer | string): Promise<Response>
  close(): Promise<void>
}

/** Room for a response that is longer than any should be. */
const READ_BYTES = 4 * TPM_BUFFER_SIZE_BYTES

const bytesOf = (command: Buffer | string): Buffer =>
  typeof command === 'string' ? fromHex(command.replace(/\s+/g, '')) : command

const responseTo = (version: TpmVersion, command: Buffer, bytes: Buffer): Response =>
  new Response({ version, command: decodeCommand(command) }, bytes)

/** Node has no names for some errnos, such as ETIME. */
async function named<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException
    if (error instanceof Error && typeof errno === 'number')
      Object.assign(error, { code: describeErrno(-Math.abs(errno)).code })
    throw error
  }
}

export async function openDeviceFile(path: string, version: TpmVersion): Promise<DeviceFile> {
  const file: FileHandle = await named(open(path, 'r+'))
  const close = (): Promise<void> => file.close()
  return {
    async exchange(command) {
      const bytes = bytesOf(command)
      await named(file.write(bytes))
      const { bytesRead, buffer } = await named(file.read(Buffer.alloc(READ_BYTES), 0, READ_BYTES, null))
      return responseTo(version, bytes, buffer.subarray(0, bytesRead))
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** A connection to a socket that takes TPM commands; one command at a time. */
export async function openConnection(
  address: { readonly path: string } | { readonly host: string; readonly port: number },
  version: TpmVersion,
): Promise<DeviceFile> {
  const socket: Socket = await new Promise((resolve, reject) => {
    const connecting = connect(address, () => resolve(connecting))
    connecting.once('error', reject)
  })
  const close = async (): Promise<void> => {
    socket.destroy()
  }
  return {
    async exchange(command) {
      const bytes = bytesOf(command)
      socket.write(bytes)
      return responseTo(version, bytes, await readResponse(socket))
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Up to the size that the header says, or the end of the connection. */
function readResponse(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let got: Buffer = Buffer.alloc(0)
    const end = (finish: () => void): void => {
      socket.off('data', data).off('end', closed).off('close', closed).off('error', failed)
      finish()
    }
    const data = (chunk: Buffer): void => {
      got = Buffer.concat([got, chunk])
      if (got.length >= HEADER_BYTES && got.length >= got.readUInt32BE(2)) end(() => resolve(got))
    }
    const closed = (): void =>
      end(() =>
        got.length > 0
          ? resolve(got)
          : reject(Object.assign(new Error('the TPM closed the connection'), { code: 'EPIPE' })),
      )
    const failed = (error: Error): void => end(() => reject(error))
    socket.on('data', data).on('end', closed).on('close', closed).on('error', failed)
  })
}
