/** A socket TPM that many connections share, and its clients. */
import { RawConnection } from './raw-connection.ts'
import { SpaceClient } from './space-client.ts'
import { type Cleanup, type SocketTpm, startSocketTpm } from './swtpm.ts'

export const MANAGED = ['--tpm2', '--flags', 'startup-clear', '--resource-manager']

export const startManaged = (t: Cleanup, ...args: string[]): Promise<SocketTpm> =>
  startSocketTpm(t, [...MANAGED, ...args])

export interface Connected extends SpaceClient {
  readonly connection: RawConnection
}

export async function connect(t: Cleanup, { dataPath }: Pick<SocketTpm, 'dataPath'>): Promise<Connected> {
  const connection = await RawConnection.open(dataPath)
  t.after(() => connection.close())
  return Object.assign(new SpaceClient((command) => connection.exchange(command)), { connection })
}

export const connectAll = (
  t: Cleanup,
  tpm: Pick<SocketTpm, 'dataPath'>,
  count: number,
): Promise<Connected[]> => Promise.all(Array.from({ length: count }, () => connect(t, tpm)))

/** A verb over the control channel. @param hex its code and request @returns its result */
export async function control({ controlPath }: Pick<SocketTpm, 'controlPath'>, hex: string): Promise<number> {
  const connection = await RawConnection.open(controlPath)
  connection.write(hex)
  const result = (await connection.read(4)).readUInt32BE()
  connection.close()
  return result
}
