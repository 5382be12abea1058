/** A client of a TPM's script socket, and TPMs that have one. */
import { join } from 'node:path'
import { isListening } from './listening.ts'
import { RawConnection } from './raw-connection.ts'
import { type Cleanup, type SocketTpm, startSocketTpm, temporaryDirectory } from './swtpm.ts'

type Line = Readonly<Record<string, unknown>>

export class ScriptConnection {
  readonly #connection: RawConnection

  private constructor(connection: RawConnection) {
    this.#connection = connection
  }

  static async open(path: string): Promise<ScriptConnection> {
    return new ScriptConnection(await RawConnection.open(path))
  }

  send(line: object | string): void {
    this.#connection.socket.write(`${typeof line === 'string' ? line : JSON.stringify(line)}\n`)
  }

  async line(): Promise<Line> {
    const bytes: Buffer[] = []
    for (;;) {
      const byte = await this.#connection.read(1)
      if (byte[0] === 0x0a) return JSON.parse(Buffer.concat(bytes).toString())
      bytes.push(byte)
    }
  }

  /** The next line after this one. */
  async ask(line: object | string): Promise<Line> {
    this.send(line)
    return this.line()
  }

  /** As a program that is killed. */
  close(): void {
    this.#connection.close()
  }

  /** It sends no more. @returns what it is told until the other side has closed, too */
  async end(): Promise<string> {
    this.#connection.socket.end()
    return (await this.#connection.readToEnd()).toString()
  }
}

export interface ScriptedTpm extends SocketTpm {
  readonly scriptPath: string
  readonly data: RawConnection
  readonly script: ScriptConnection
}

/** A TPM 2.0 on Unix sockets, powered on, with a client of each. */
export async function startScriptedTpm(t: Cleanup, args: readonly string[] = []): Promise<ScriptedTpm> {
  const { scriptPath, ...tpm } = await startWithScriptSocket(t, [
    '--tpm2',
    '--flags',
    'startup-clear',
    ...args,
  ])
  const data = await RawConnection.open(tpm.dataPath)
  const script = await ScriptConnection.open(scriptPath)
  t.after(() => {
    data.close()
    script.close()
  })
  return { ...tpm, scriptPath, data, script }
}

export async function startWithScriptSocket(
  t: Cleanup,
  args: readonly string[],
): Promise<SocketTpm & { readonly scriptPath: string }> {
  const directory = temporaryDirectory(t)
  const scriptPath = join(directory, 'script')
  const tpm = await startSocketTpm(t, ['--script-socket', scriptPath, ...args], { directory })
  await tpm.swtpm.until(() => isListening(scriptPath), 'the script socket is there')
  return { ...tpm, scriptPath }
}
