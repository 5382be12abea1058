/** A vTPM proxy TPM of this tree on a real kernel. */
import { type Cleanup, Swtpm, temporaryDirectory, untilReady } from './swtpm.ts'

const ANNOUNCEMENT = /^New TPM device: \/dev\/tpm(\d+) \(major\/minor = (\d+)\/(\d+)\)\n/

export interface ProxyDevice {
  /** N of /dev/tpmN. */
  readonly number: number
  readonly path: string
  /** The in-kernel resource manager's device; TPM 2.0 only. */
  readonly resourceManagerPath: string
}

export interface ProxyTpm extends ProxyDevice {
  readonly swtpm: Swtpm
  readonly directory: string
}

export const proxyDevice = (number: number): ProxyDevice => ({
  ...{ number, path: `/dev/tpm${number}`, resourceManagerPath: `/dev/tpmrm${number}` },
})

/** `swtpm chardev --vtpm-proxy`, ready. */
export async function startProxyTpm(
  t: Cleanup,
  args: readonly string[] = ['--tpm2'],
  directory = temporaryDirectory(t),
  env: NodeJS.ProcessEnv = {},
): Promise<ProxyTpm> {
  const options = ['--tpmstate', `dir=${directory}`, '--ready-fd', '3', ...args]
  const swtpm = new Swtpm(['chardev', '--vtpm-proxy', ...options], { env, stdio: ['pipe'] })
  t.after(() => swtpm.stop('SIGKILL'))
  await untilReady(swtpm)
  const match = ANNOUNCEMENT.exec(swtpm.stdout)
  if (match === null) throw new Error(`not an announcement: ${JSON.stringify(swtpm.stdout)}`)
  return { swtpm, directory, ...proxyDevice(Number(match[1])) }
}
