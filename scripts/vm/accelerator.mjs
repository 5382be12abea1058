// Decides whether the guest runs on the processor itself (KVM) or is emulated (TCG).
//
// That /dev/kvm exists says little: inside many virtual machines it opens, and the guest hangs in its first
// instructions. So a machine is started once and has to reach our init script; the verdict is kept in the cache.

import { spawn } from 'node:child_process'
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { UserError } from '../lib/command.mjs'
import { vmCacheDir } from '../lib/paths.mjs'
import { ensureInitramfs } from './initramfs.mjs'

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
}
const PROBE_TIMEOUT_MS = 6_000

/**
 * @param {import('./kernel.mjs').Kernel} kernel
 * @param {'instructions' | 'slow'} [clock] only emulation can; see machine.mjs
 * @returns {Promise<string[]>} QEMU's arguments; the variable SWTPM_VM_ACCEL (kvm, tcg) overrules the choice
 */
export async function acceleratorArguments(kernel, clock) {
  if (clock !== undefined) return ARGUMENTS[clock]
  const wanted = process.env.SWTPM_VM_ACCEL
  if (wanted === 'kvm' || wanted === 'tcg') return ARGUMENTS[wanted]
  if (wanted) throw new UserError(`Unknown SWTPM_VM_ACCEL "${wanted}": choose kvm or tcg`)
  return (await kvmWorks(kernel)) ? ARGUMENTS.kvm : ARGUMENTS.tcg
}

/** @param {import('./kernel.mjs').Kernel} kernel @returns {Promise<boolean>} */
async function kvmWorks(kernel) {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK)
  } catch {
    return false
  }
  const memory = path.join(vmCacheDir, 'kvm.json')
  const machine = `${os.hostname()} ${os.release()} ${os.cpus()[0]?.model}`
  const known = existsSync(memory) ? JSON.parse(readFileSync(memory, 'utf8')) : {}
  if (known.machine === machine) return known.works

  const works = await reachesInit(kernel)
  await mkdir(vmCacheDir, { recursive: true })
  await writeFile(memory, JSON.stringify({ machine, works }))
  return works
}

/** @param {import('./kernel.mjs').Kernel} kernel @returns {Promise<boolean>} */
async function reachesInit(kernel) {
  const qemu = spawn(
    'qemu-system-x86_64',
    [
      ...['-M', 'q35', ...ARGUMENTS.kvm, '-m', '512', '-nodefaults', '-display', 'none', '-no-reboot'],
      ...['-kernel', kernel.image, '-initrd', await ensureInitramfs(kernel)],
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
