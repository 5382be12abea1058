// A TPM of the kernel's own: `swtpm chardev --vtpm-proxy` behind /dev/tpmN and /dev/tpmrmN.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { UserError } from '../lib/command.mjs'
import { until } from './until.mjs'
import { mustEqual } from './walkthrough.mjs'

const COMMAND = 'swtpm chardev --vtpm-proxy --tpm2 --tpmstate dir=proxy-state'

export class ProxyTpm {
  title = 'A TPM of the kernel’s own, through the vTPM proxy'
  stateDir = 'proxy-state'
  hasResourceManager = true
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #server
  #number = ''

  get tcti() {
    return `device:/dev/tpmrm${this.#number}`
  }

  get device() {
    return `/dev/tpm${this.#number}`
  }

  /** @param {import('./walkthrough.mjs').Walkthrough} walkthrough */
  async start(walkthrough) {
    await walkthrough.step(`${COMMAND} &`, async () => {
      const [program, ...args] = COMMAND.split(' ')
      const { cwd, env } = walkthrough
      this.#server = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
      const announcement = await this.#firstLine(this.#server)
      const number = /^New TPM device: \/dev\/tpm(\d+) /.exec(announcement)?.[1]
      if (!number) throw new UserError(`swtpm announced no device, but said "${announcement}"`)
      this.#number = number
      await until(`/dev/tpmrm${number} is there`, () => existsSync(`/dev/tpmrm${number}`))
      return announcement
    })
  }

  /** @param {import('./walkthrough.mjs').Walkthrough} walkthrough */
  async stop(walkthrough) {
    await walkthrough.step('kill %1', async () => {
      const server = /** @type {import('node:child_process').ChildProcess} */ (this.#server)
      server.kill('SIGTERM')
      const [status] = await once(server, 'exit')
      this.#server = undefined
      mustEqual('exit status', status, 0)
      await until(`${this.device} is gone`, () => !existsSync(this.device))
      return `ended with status 0, ${this.device} is gone`
    })
  }

  /** Ends the TPM without ceremony, if it runs. */
  async abandon() {
    const server = this.#server
    if (!server || server.exitCode !== null || server.signalCode !== null) return
    const exit = once(server, 'exit')
    server.kill('SIGTERM')
    await exit
  }

  /** @param {import('node:child_process').ChildProcess} server @returns {Promise<string>} of its stdout */
  #firstLine(server) {
    let complaints = ''
    server.stderr?.on('data', (chunk) => {
      complaints += chunk
    })
    return new Promise((resolve, reject) => {
      server.on('error', reject)
      server.on('exit', (code, signal) => {
        reject(
          new UserError(`swtpm ended at once with ${signal ?? `status ${code}`}`, { output: complaints }),
        )
      })
      createInterface({ input: /** @type {import('node:stream').Readable} */ (server.stdout) }).once(
        'line',
        resolve,
      )
    })
  }
}
