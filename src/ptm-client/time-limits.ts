/** How long a client waits for a server, in milliseconds. */

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
