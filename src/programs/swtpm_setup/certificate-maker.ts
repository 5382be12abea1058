/**
 * Has the configured tool make certificates: it is called for one certificate at a time and leaves it as TYPE.cert in a
 * private folder that lives as long as the setup.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { reasonOf } from '../../system/reason.ts'
import type { ConfigFile } from '../common/config-file.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import type { ToolLog } from '../common/tool-log.ts'
import type { CertificateType } from '../swtpm_cert/cert-options.ts'
import { certificateTool } from './certificate-tool.ts'
import type { EkUse } from './key-templates.ts'

export interface CertificateJob {
  readonly type: CertificateType
  readonly key: string
  readonly tpmSerialNumber?: string
}

export class CertificateMaker {
  readonly #folder: string
  readonly #tool: string
  readonly #commonArgs: readonly string[]
  readonly #log: ToolLog
  #running: ChildProcess | undefined
  /** Also at a sudden end of this process: neither the tool nor the folder outlives it. */
  readonly #cleanUp = (): void => {
    this.#running?.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /**
   * @param parent of the private folder
   * @param specArgs what the TPM says about itself, as options of the tool
   */
  constructor(
    parent: string,
    config: ConfigFile,
    task: { readonly tpm2: boolean; readonly vmid: string | undefined; readonly ekUse: EkUse },
    specArgs: readonly string[],
    log: ToolLog,
  ) {
    this.#folder = mkdtempSync(join(parent, 'certificates.'))
    process.once('exit', this.#cleanUp)
    this.#log = log
    const tool = certificateTool(config)
    for (const remark of tool.remarks) log.info(remark)
    this.#tool = tool.program
    const args = ['--dir', this.#folder]
    if (log.file !== undefined) args.push('--logfile', log.file)
    if (task.vmid !== undefined) args.push('--vmid', task.vmid)
    args.push(...specArgs)
    if (task.tpm2) args.push('--tpm2')
    if (task.ekUse.allowSigning) {
      args.push('--allow-signing')
      if (task.ekUse.decryption) args.push('--decryption')
    }
    this.#commonArgs = [...args, ...tool.args]
  }

  /** @returns the certificate as it shall be written to NVRAM */
  async make(job: CertificateJob): Promise<Buffer> {
    const keyOption = job.type === 'iak' || job.type === 'idevid' ? '--key' : '--ek'
    const args = ['--type', job.type, keyOption, job.key, ...this.#commonArgs]
    if (job.tpmSerialNumber !== undefined) args.push('--tpm-serial-num', job.tpmSerialNumber)
    this.#log.info(`  Invoking ${[this.#tool, ...args].join(' ')}`)
    await this.#runTool(args)
    const path = join(this.#folder, `${job.type}.cert`)
    try {
      return readFileSync(path)
    } catch (cause) {
      throw new ToolFailure(`${basename(this.#tool)} left no certificate at ${path}: ${reasonOf(cause)}`, {
        cause,
      })
    }
  }

  async #runTool(args: readonly string[]): Promise<void> {
    const name = basename(this.#tool)
    const logged = sizeOf(this.#log.file)
    this.#running = spawn(this.#tool, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const { stdout, stderr } = this.#running
    let errors = ''
    let lines = ''
    stdout?.setEncoding('utf8').on('data', (text: string) => {
      lines += text
    })
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors += text
    })
    try {
      const [status, signal] = await ended(this.#running)
      for (const line of lines.split('\n')) if (line !== '') this.#log.info(`${name}: ${line}`)
      if (status === 0) return
      const failure = `${name} exit with ${signal ?? `status ${status}`}`
      if (!isLogged(errors, this.#log.file, logged)) throw new ToolFailure(`${failure}: ${errors.trim()}`)
      this.#log.errorElsewhere(errors.trim())
      throw new ToolFailure(failure)
    } catch (error) {
      if (error instanceof ToolFailure) throw error
      throw new ToolFailure(`An error occurred running ${this.#tool}: ${reasonOf(error)}`, { cause: error })
    } finally {
      this.#running = undefined
    }
  }

  close(): void {
    process.removeListener('exit', this.#cleanUp)
    this.#cleanUp()
  }
}

/** For the rest of what a tool that has ended has printed. */
const OUTPUT_MS = 1000

/**
 * Waits for the end of a program and of its output. What it leaves running, such as the daemon of a token, may keep the pipes open
 * for ever: then its own end is enough.
 */
async function ended(program: ChildProcess): Promise<[status: number | null, signal: NodeJS.Signals | null]> {
  const closed = once(program, 'close').catch(() => {})
  const end = (await once(program, 'exit')) as [number | null, NodeJS.Signals | null]
  const limit = new AbortController()
  await Promise.race([closed, delay(OUTPUT_MS, undefined, { signal: limit.signal }).catch(() => {})])
  limit.abort()
  program.stdout?.destroy()
  program.stderr?.destroy()
  return end
}

/** Of a log, in bytes; 0 where there is none, or where it is no file: a pipe has no end to be read. */
const sizeOf = (file: string | undefined): number => {
  const status = file === undefined ? undefined : statSync(file, { throwIfNoEntry: false })
  return status?.isFile() ? status.size : 0
}

/** Whether a tool has written to the log itself, behind `from`, what it has printed on standard error. */
function isLogged(errors: string, file: string | undefined, from: number): boolean {
  if (file === undefined || errors.trim() === '' || sizeOf(file) <= from) return false
  try {
    return readFileSync(file).subarray(from).includes(errors.trim())
  } catch {
    return false
  }
}
