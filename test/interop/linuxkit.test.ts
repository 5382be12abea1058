/** A minimal machine of its own, in which the vTPM is a service: packaging/linuxkit, booted. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Service } from '../support/service.ts'
import { suiteCleanup } from '../support/suite.ts'
import { type Cleanup, projectRoot, temporaryDirectory } from '../support/swtpm.ts'
import { tool } from '../support/tools.ts'
import { waitFor } from '../support/wait.ts'

const BOOT_MS = 300_000
const COMMAND_MS = 120_000

class Machine {
  readonly #qemu: Service

  private constructor(qemu: Service) {
    this.#qemu = qemu
  }

  static async boot(t: Cleanup, version: '1.2' | '2.0'): Promise<Machine> {
    const directory = temporaryDirectory(t)
    const part = (name: string): string => join(directory, `swtpm-${name}`)
    await tool(process.execPath, [
      join(projectRoot, 'packaging/linuxkit/build.mjs'),
      '--tpm',
      version,
      directory,
    ])
    const qemu = new Service(
      t,
      'qemu-system-x86_64',
      [
        ...['-M', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '1024'],
        ...[
          '-nodefaults',
          '-no-user-config',
          '-display',
          'none',
          '-nic',
          'none',
          '-no-reboot',
          '-serial',
          'stdio',
        ],
        ...['-kernel', part('kernel'), '-initrd', part('initrd.img')],
        ...['-append', `${readFileSync(part('cmdline'), 'utf8').trim()} no_timer_check`],
      ],
      { input: true },
    )
    const machine = new Machine(qemu)
    await machine.#until('init: waiting for commands', BOOT_MS)
    return machine
  }

  /** What init has said of the services, in its order. */
  get started(): string[] {
    return [...this.#qemu.output.matchAll(/^init: (\w+) serves\r?$/gm)].map(([, name = '']) => name)
  }

  /** A line for the machine's shell. @returns what it prints. @throws when it ends with another status than 0 */
  async run(line: string): Promise<string> {
    this.#qemu.output = ''
    this.#qemu.child.stdin?.write(`${line}\n`)
    await this.#until(/^status \d+\r?\n/m, COMMAND_MS)
    const [, output = '', status] = /^([\s\S]*?)^status (\d+)\r?\n/m.exec(this.#qemu.output) ?? []
    if (status !== '0') throw new Error(`status ${status} of ${line}: ${output}`)
    return output.replaceAll('\r', '')
  }

  async #until(text: string | RegExp, timeoutMs: number): Promise<void> {
    const said = (): boolean =>
      typeof text === 'string' ? this.#qemu.output.includes(text) : text.test(this.#qemu.output)
    const what = `${text} on the console`
    await waitFor(() => said() || !this.#qemu.running, { what, timeoutMs }).catch((error) => {
      throw new Error(`${error.message}; it shows: ${this.#qemu.output}`)
    })
    assert.ok(said(), `the machine has ended before ${what}: ${this.#qemu.output}`)
  }
}

const withoutQemu = ((): string | false => {
  try {
    execFileSync('qemu-system-x86_64', ['--version'])
    return false
  } catch {
    return 'there is no qemu-system-x86_64'
  }
})()

for (const [version, services, uses] of [
  ['1.2', ['swtpm', 'tss', 'client'], useTpm12],
  ['2.0', ['swtpm', 'one', 'two'], useTpm2],
] as const) {
  describe(`a machine as LinuxKit makes them, with a TPM ${version}`, { skip: withoutQemu }, () => {
    const suite = suiteCleanup()
    let machine: Machine

    it('boots, the TPM before those who use it', async () => {
      machine = await Machine.boot(suite, version)
      assert.deepEqual(machine.started, services)
    })
    uses(() => machine)
  })
}

function useTpm12(machine: () => Machine): void {
  it('/dev/tpm0 is tcsd’s; a container without devices reaches it by its port', async () => {
    const run = (line: string): Promise<string> => machine().run(line)
    assert.match(await run('runc exec client tpm_version'), /Chip Version:\s+1\.2/)
    await run('runc exec client tpm_createek')
    assert.match(await run('runc exec client tpm_getpubek'), /Key Size:\s+2048 bits/)
    await assert.rejects(run('cat /dev/tpm0'), /resource busy/)
    await assert.rejects(run('runc exec client busybox ls /dev/tpm0'), /No such file/)
  })
}

function useTpm2(machine: () => Machine): void {
  it('many processes at once use /dev/tpmrm0, from containers with tools of their own', async () => {
    const run = (line: string): Promise<string> => machine().run(line)
    const outputs: string[] = []
    const job = (container: string, index: number): string => {
      const output = `/run/${container}-${index}`
      outputs.push(output)
      const script = `tpm2 createprimary -Q -G ecc -c /tmp/${index}.ctx; tpm2 getrandom --hex 8; echo`
      return `runc exec ${container} busybox sh -ec '${script}' >${output} &`
    }
    const jobs = [1, 2].flatMap((index) => [job('one', index), job('two', index)])
    await run(`${jobs.join(' ')} wait`)
    assert.match(await run(`cat ${outputs.join(' ')}`), /^([0-9a-f]{16}\n){4}$/)
    await run(`runc exec one tpm2 pcrextend 16:sha256=${'ab'.repeat(32)}`)
    assert.doesNotMatch(await run('runc exec two tpm2 pcrread sha256:16'), /0x0{64}/)
  })
}
