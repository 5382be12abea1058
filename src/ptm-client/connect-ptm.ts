/** Opens the transport that an address asks for, and says how long to wait for it. */
import type { PtmClient } from './ptm-client.ts'
import type { TpmAddress } from './tpm-address.ts'

/**
 * @param timeoutMs for connecting and for each answer
 * @throws SwtpmError naming the address, the reason and what to do
 */
export async function connectPtm(address: TpmAddress, timeoutMs: number): Promise<PtmClient> {
  // Each transport brings modules that the other has no use for, and scripts start the client dozens of times.
  if (address.kind === 'device') {
    const { DeviceClient } = await import('./device-client.ts')
    return new DeviceClient(address.path, timeoutMs)
  }
  const { SocketClient } = await import('./socket-client.ts')
  return SocketClient.connect(address, timeoutMs)
}

/** A TPM that makes an RSA key keeps its control channel waiting; this is what the C client allows. */
const SOCKET_TIMEOUT_MS = 20_000
/** The C client waits for a device without end. */
const DEVICE_TIMEOUT_MS = 60_000

/** @param override seconds, as a user wrote them in SWTPM_IOCTL_TIMEOUT; ignored unless a positive number */
export function answerTimeoutMs(transport: 'socket' | 'device', override: string | undefined): number {
  const seconds = Number(override)
  if (seconds > 0) return Math.min(Math.round(seconds * 1000), 0x7fff_ffff)
  return transport === 'device' ? DEVICE_TIMEOUT_MS : SOCKET_TIMEOUT_MS
}
