/** Sockets that take the TPM's commands, with the control channel that tools look for beside them. */

import { closeSync } from 'node:fs'
import { join } from 'node:path'
import { TPM_IOERROR } from '../../contract/tpm-result.ts'
import type { ServerEndpoint } from '../serve/config.ts'
import { ControlServer } from '../serve/control/control-server.ts'
import type { Session } from '../serve/session.ts'
import { type OpenEndpoint, openEndpoint } from '../serve/socket/open-endpoint.ts'
import { SwtpmError } from '../system/errors.ts'
import { native } from '../system/native/load.ts'
import { comesBackNot, type Device, deviceOf, type Exposure } from './device.ts'
import { openConnection } from './device-file.ts'
import { makeSocketFolder, type SocketFolder } from './socket-folder.ts'

const OWNER_ONLY = 0o700

const unix = (path: string): ServerEndpoint => ({
  kind: 'unix',
  path,
  mode: OWNER_ONLY,
  uid: undefined,
  gid: undefined,
})
const tcp = (port: number): ServerEndpoint => ({
  kind: 'tcp',
  port,
  bindAddress: HOST,
  interfaceName: undefined,
})
const HOST = '127.0.0.1'

/**
 * A Unix socket, and beside it, with `.ctrl` at its end, one for control commands. Only its user can connect.
 * @param options.path without it, in a folder of its own that goes with it
 * @example
 * ```js
 * import { createTpm, unixSocket } from 'swtpm'
 *
 * await using tpm = await createTpm()
 * await using device = await tpm.expose(unixSocket())
 * console.log((await device.exchange('80010000000c0000017b0008')).text) // SUCCESS
 * ```
 */
export const unixSocket = ({ path }: { readonly path?: string } = {}): Exposure => ({
  async expose(session, _config, gone) {
    const folder = path === undefined ? await makeSocketFolder() : undefined
    const data = path ?? join((folder as SocketFolder).path, 'tpm.sock')
    try {
      return await listen(session, gone, [unix(data), unix(`${data}.ctrl`)], {
        path: data,
        tcti: `swtpm:path=${data}`,
        open: () => openConnection({ path: data }, session.tpm.version),
        async afterwards() {
          await folder?.remove()
        },
      })
    } catch (error) {
      await folder?.remove()
      throw error
    }
  },
})

/** Where a free pair of ports is looked for. */
const FIRST_PORT = 20_000
const PORTS = 30_000
const TRIES = 100

/**
 * A TCP port of this machine, and the next one for control commands, which is what tpm2-tss expects.
 * Every user of this machine can connect to both, and so read the TPM's state: only for a TPM without secrets.
 * @param options.port without it, one that is free
 * @example
 * ```js
 * import { createTpm, tcpSocket } from 'swtpm'
 *
 * await using tpm = await createTpm()
 * await using device = await tpm.expose(tcpSocket())
 * console.log(device.tcti) // swtpm:host=127.0.0.1,port=…
 * ```
 */
export const tcpSocket = ({ port }: { readonly port?: number } = {}): Exposure => ({
  async expose(session, _config, gone) {
    const at = (chosen: number): Promise<Device> =>
      listen(session, gone, [tcp(chosen), tcp(chosen + 1)], {
        path: `${HOST}:${chosen}`,
        tcti: `swtpm:host=${HOST},port=${chosen}`,
        open: () => openConnection({ host: HOST, port: chosen }, session.tpm.version),
        async afterwards() {},
      })
    if (port !== undefined) return at(port)
    for (let tried = 1; ; tried++) {
      try {
        return await at(FIRST_PORT + 2 * Math.floor((Math.random() * PORTS) / 2))
      } catch (error) {
        if (tried >= TRIES) throw error
      }
    }
  },
})

interface Socket {
  readonly path: string
  readonly tcti: string
  readonly open: Device['open']
  afterwards(): Promise<void>
}

/** @throws SwtpmError SWTPM_ERR_SOCKET */
async function listen(
  session: Session,
  gone: () => void,
  [dataEndpoint, controlEndpoint]: readonly [ServerEndpoint, ServerEndpoint],
  socket: Socket,
): Promise<Device> {
  const { engine } = session.tpm
  const data = openEndpoint(dataEndpoint)
  let control: OpenEndpoint | undefined
  try {
    control = openEndpoint(controlEndpoint)
    // The engine waits in accept().
    native.setNonBlocking(data.fd, false)
    const result = await engine.attach('listener', data.fd)
    if (result !== 0)
      throw new SwtpmError('SWTPM_ERR_SOCKET', `Cannot serve "${socket.path}": the engine answered ${result}`)
  } catch (error) {
    for (const endpoint of [data, control]) close(endpoint)
    throw error
  }
  const server = serveControl(session, control.fd)
  const device = deviceOf({
    ...socket,
    async unplug() {
      gone()
      session.plug = undefined
      server.close()
      control?.remove()
      if (!session.ending) await engine.detach()
      close(data)
      await socket.afterwards()
    },
  })
  session.plug = { out: () => device.unplug(), in: comesBackNot }
  session.onEnd(() => device.unplug())
  return device
}

function close(endpoint: OpenEndpoint | undefined): void {
  if (endpoint === undefined) return
  closeSync(endpoint.fd)
  endpoint.remove()
}

const serveControl = ({ tpm }: Session, listenFd: number): ControlServer =>
  new ControlServer({
    tpm,
    sockets: { listenFd },
    engineNeeded: () => Promise.resolve(),
    async setDataFd(fd) {
      closeSync(fd)
      // The TPM has a device.
      return TPM_IOERROR
    },
    // The TPM is the program's, which ends it.
    onShutdown() {},
    onDisconnect() {},
  })
