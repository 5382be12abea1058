/** Another TPM in place of this program's own: what {@link TpmOptions.behind} takes. */
import type { BehindConfig, Otherwise } from '../behind/config.ts'

/** Made by {@link device}, {@link recording} and {@link connection}. */
export type Behind = BehindConfig

/**
 * A TPM of this machine: the responders are before it.
 * @example
 * ```js needs-root
 * import { createTpm, device } from 'swtpm'
 *
 * await using tpm = await createTpm({ behind: device('/dev/tpmrm0') })
 * ```
 */
export const device = (path: string): Behind => ({ kind: 'device', path })

/**
 * A TPM that takes commands on a socket.
 * @example
 * ```js
 * import { connection, createTpm, unixSocket } from 'swtpm'
 *
 * await using behind = await createTpm()
 * await using socket = await behind.expose(unixSocket())
 * await using tpm = await createTpm({ behind: connection({ path: socket.path }) })
 * console.log((await tpm.send('80010000000c0000017b0008')).text) // SUCCESS
 * ```
 */
export const connection = (
  address: { readonly path: string } | { readonly host: string; readonly port: number },
): Behind => ('path' in address ? { kind: 'unix', ...address } : { kind: 'tcp', ...address })

/**
 * A recording that plays a TPM.
 * @param options.otherwise what becomes of a command that the recording has no response to: `'FAILURE'` (without it), `'stop'`, or
 * `'ours'`: this program's own TPM executes it
 * @param options.fast without the times of the recording
 * @example
 * ```js needs-a-recording
 * import { createTpm, recording } from 'swtpm'
 *
 * await using tpm = await createTpm({ behind: recording('issue-4711.tpmrec', { fast: true }) })
 * ```
 */
export const recording = (
  path: string,
  { otherwise = 'FAILURE', fast = false }: { readonly otherwise?: Otherwise; readonly fast?: boolean } = {},
): Behind => ({ kind: 'recording', path, otherwise, fast })
