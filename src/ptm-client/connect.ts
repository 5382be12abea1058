/** Opens the transport that an endpoint asks for. */
import type { Endpoint } from './endpoint.ts'
import type { PtmClient } from './ptm-client.ts'

/**
 * @param timeoutMs for connecting and for each answer
 * @throws SwtpmError naming the endpoint, the reason and the way out
 */
export async function connectPtm(endpoint: Endpoint, timeoutMs: number): Promise<PtmClient> {
  // Each transport brings modules that the other has no use for, and scripts start the client dozens of times.
  if (endpoint.kind === 'device') {
    const { DeviceClient } = await import('./device-client.ts')
    return new DeviceClient(endpoint.path, timeoutMs)
  }
  const { SocketClient } = await import('./socket-client.ts')
  return SocketClient.connect(endpoint, timeoutMs)
}
