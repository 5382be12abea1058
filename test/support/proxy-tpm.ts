/** A vTPM proxy TPM of this tree on a real kernel. */
import { existsSync } from 'node:fs'
import { type Cleanup, Swtpm, temporaryDirectory } from './swtpm.ts'
import { waitFor } from './wait.ts'

const ANNOUNCEMENT = /^New TPM device: \/dev\/tpm(\d+) \(major\/minor = (\d+)\/(\d+)\)\n/

export interface ProxyTpm {
  readonly swtpm: Swtpm
  /** N of /dev/tpmN. */
  readonly number: number
  readonly path: string
  /** The in-kernel resource manager's device; TPM 2.0 only. */
  readonly resourceManagerPath: string
  readonly directory: string
}

/** `swtpm chardev --vtpm-proxy`, announced. */
export async function startProxyTpm(
  t: Cleanup,
  args: readonly string[] = ['--tpm2'],
  directory = temporaryDirectory(t),
  env: NodeJS.ProcessEnv = {},
): Promise<ProxyTpm> {
  const swtpm = new Swtpm(['chardev', '--vtpm-proxy', '--tpmstate', `dir=${directory}`, ...args], { env })
  t.after(() => swtpm.stop('SIGKILL'))
  await swtpm.until(() => swtpm.stdout.includes('\n'), 'its announcement')
  const match = ANNOUNCEMENT.exec(swtpm.stdout)
  if (match === null) throw new Error(`not an announcement: ${JSON.stringify(swtpm.stdout)}`)
  const number = Number(match[1])
  const resourceManagerPath = `/dev/tpmrm${number}`
  // The last that the kernel makes.
  if (args.includes('--tpm2'))
    await waitFor(() => existsSync(resourceManagerPath), { what: resourceManagerPath })
  return { swtpm, number, directory, path: `/dev/tpm${number}`, resourceManagerPath }
}
