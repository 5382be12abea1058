/** Two TPMs of one kind, side by side: one for Debian's client tools, one for ours. */
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import {
  type Cleanup,
  REFERENCE_SWTPM,
  type SocketTpm,
  Swtpm,
  startSocketTpm,
  temporaryDirectory,
} from '../support/swtpm.ts'
import { waitFor } from '../support/wait.ts'

export interface TpmKind {
  readonly name: string
  /** The server; undefined: this tree's. */
  readonly program?: string
  readonly tpm2: boolean
}

export const kinds: readonly TpmKind[] = [
  { name: 'Debian’s swtpm, TPM 2.0', program: REFERENCE_SWTPM, tpm2: true },
  { name: 'Debian’s swtpm, TPM 1.2', program: REFERENCE_SWTPM, tpm2: false },
  { name: 'our swtpm, TPM 2.0', tpm2: true },
  { name: 'our swtpm, TPM 1.2', tpm2: false },
]

export const startTpm = (t: Cleanup, kind: TpmKind, ...args: string[]): Promise<SocketTpm> =>
  startSocketTpm(
    t,
    [...(kind.tpm2 ? ['--tpm2'] : []), ...args],
    kind.program === undefined ? {} : { program: kind.program },
  )

/** The tools, each with the TPM that it alone talks to. */
export type Twins = readonly [tool: string, tpm: SocketTpm][]

export const startTwins = (t: Cleanup, kind: TpmKind, tools: readonly string[]): Promise<Twins> =>
  Promise.all(tools.map(async (tool) => [tool, await startTpm(t, kind)] as [string, SocketTpm]))

/** A TPM on two TCP ports that were free a moment ago. */
export async function startTcpTpm(t: Cleanup, kind: TpmKind): Promise<{ data: number; control: number }> {
  const directory = temporaryDirectory(t)
  const [data = 0, control = 0] = await freePorts(2)
  const pid = `${directory}/pid`
  const swtpm = new Swtpm(
    [
      'socket',
      ...(kind.tpm2 ? ['--tpm2'] : []),
      '--tpmstate',
      `dir=${directory}`,
      '--server',
      `type=tcp,port=${data}`,
      '--ctrl',
      `type=tcp,port=${control}`,
      '--pid',
      `file=${pid}`,
    ],
    kind.program === undefined ? {} : { program: kind.program },
  )
  t.after(() => swtpm.stop('SIGKILL'))
  await waitFor(() => existsSync(pid), { what: 'the pid file' })
  return { data, control }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
