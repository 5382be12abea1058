/** Where a TPM is, and how a client gets to it. */
import type { PtmClient } from './ptm-client.ts'

export type SocketAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export type TpmAddress = SocketAddress | { readonly kind: 'device'; readonly path: string }

/** As messages name it: `Unix socket "/run/x"`, `TCP port 127.0.0.1:6546`, `device "/dev/vtpm0"`. */
export function describeAddress(address: TpmAddress): string {
  switch (address.kind) {
    case 'device':
      return `device "${address.path}"`
    case 'unix':
      return `Unix socket "${address.path}"`
    case 'tcp': {
      const host = address.host.includes(':') ? `[${address.host}]` : address.host
      return `TCP port ${host}:${address.port}`
    }
  }
}

/**
 * @param timeoutMs for connecting and for each answer
 * @throws SwtpmError naming the address, the reason and the way out
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
