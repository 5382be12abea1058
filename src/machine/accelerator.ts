/**
 * Decides whether the guest runs on the processor itself (KVM) or is emulated (TCG).
 *
 * That /dev/kvm exists says little: inside many virtual machines it opens, and the guest hangs in its first
 * instructions. So a machine is started once and has to reach our init script; the verdict is kept in the cache.
 */
import { spawn } from 'node:child_process'
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import os from 'node:os'
import { join } from 'node:path'
import { cacheDirectory } from './cache.ts'
import type { Kernel } from './kernel/kernel.ts'
import { MachineFault } from './machine-fault.ts'

/** One processor whose clock counts its instructions: times repeat. `slow`: it is as slow as the emulated processor. */
export type Clock = 'instructions' | 'slow'

const ARGUMENTS = {
  kvm: ['-accel', 'kvm', '-cpu', 'host'],
  // A translation cache large enough for Node's compiler; one thread for each emulated processor.
  tcg: ['-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'max'],
  // Each instruction takes 2 ns, and the clock leaps ahead when the processor has nothing to do.
  instructions: [
    ...['-accel', 'tcg,thread=single,tb-size=512', '-cpu', 'max'],
    ...['-icount', 'shift=1,sleep=off,align=off'],
  ],
  // Each instruction takes 1 ns, and what the processor waits for takes as long as it takes.
  slow: [
    ...['-accel', 'tcg,thread=single,tb-size=512', '-cpu', 'max'],
    ...['-icount', 'shift=0,sleep=on,align=off'],
  ],
} as const
const PROBE_TIMEOUT_MS = 6_000

/**
 * @param clock only emulation can
 * @param initramfs what the kernel is tried with
 * @returns QEMU's arguments; the variable SWTPM_VM_ACCEL (kvm, tcg) overrules the choice
 */
export async function acceleratorArguments(
  kernel: Kernel,
  initramfs: string,
  clock?: Clock,
): Promise<readonly string[]> {
  if (clock !== undefined) return ARGUMENTS[clock]
  const wanted = process.env.SWTPM_VM_ACCEL
  if (wanted === 'kvm' || wanted === 'tcg') return ARGUMENTS[wanted]
  if (wanted) throw new MachineFault(`Unknown SWTPM_VM_ACCEL "${wanted}": choose kvm or tcg`)
  return (await kvmWorks(kernel, initramfs)) ? ARGUMENTS.kvm : ARGUMENTS.tcg
}

async function kvmWorks(kernel: Kernel, initramfs: string): Promise<boolean> {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK)
  } catch {
    return false
  }
  const memory = join(cacheDirectory(), 'kvm.json')
  const machine = `${os.hostname()} ${os.release()} ${os.cpus()[0]?.model}`
  const known = existsSync(memory) ? JSON.parse(readFileSync(memory, 'utf8')) : {}
  if (known.machine === machine) return known.works

  const works = await reachesInit(kernel, initramfs)
  // A kernel of a developer may fail for reasons of its own.
  if (works || kernel.directory !== undefined) {
    await mkdir(cacheDirectory(), { recursive: true })
    await writeFile(memory, JSON.stringify({ machine, works }))
  }
  return works
}

function reachesInit(kernel: Kernel, initramfs: string): Promise<boolean> {
  const qemu = spawn(
    'qemu-system-x86_64',
    [
      ...['-M', 'q35', ...ARGUMENTS.kvm, '-m', '512', '-nodefaults', '-display', 'none', '-no-reboot'],
      ...['-kernel', kernel.image, '-initrd', initramfs],
      ...['-append', 'console=ttyS0 quiet panic=-1 probe', '-serial', 'stdio'],
    ],
    { stdio: ['ignore', 'pipe', 'ignore'], timeout: PROBE_TIMEOUT_MS, killSignal: 'SIGKILL' },
  )
  return new Promise((resolve) => {
    let output = ''
    qemu.stdout.on('data', (chunk) => {
      output += chunk
    })
    qemu.on('error', () => resolve(false))
    qemu.on('close', () => resolve(output.includes('guest: probe passed')))
  })
}
