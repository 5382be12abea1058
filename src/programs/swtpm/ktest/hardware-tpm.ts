/** TPMs outside the guest, which it finds as its hardware: QEMU's tpm-tis and tpm-crb in front of our swtpm. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { optionValue } from '../../../machine/qemu-arguments.ts'
import { type StartedTpm, startSwtpm } from './own-swtpm.ts'
import type { HardwareKind, TpmDescription } from './tpm-description.ts'

/** The kernel's driver for it: a module, and the name below /sys/bus. */
export const DRIVERS: Readonly<Record<HardwareKind, string>> = { tis: 'tpm_tis', crb: 'tpm_crb' }

export interface HardwareTpm extends StartedTpm {
  readonly index: number
  /** The TPM's script socket, outside the guest. */
  readonly script: string
  readonly qemuArguments: readonly string[]
}

/**
 * @param directory for its state and its control socket
 * @param trace where commands and responses are to be written
 */
export async function startHardwareTpm(
  { index, kind, version, options }: TpmDescription & { readonly kind: HardwareKind },
  directory: string,
  trace: { readonly pcap: string; readonly recording: string } | undefined,
): Promise<HardwareTpm> {
  const place = join(directory, `tpm-${index}`)
  mkdirSync(place)
  const control = join(place, 'control')
  const script = join(place, 'script')
  const tpm = await startSwtpm([
    'socket',
    ...(version === '2.0' ? ['--tpm2'] : []),
    ...['--tpmstate', `dir=${place}`, '--ctrl', `type=unixio,path=${control}`],
    // A chip whose power is cut has only what its driver has had it save.
    ...['--flags', 'disable-auto-shutdown'],
    ...(trace === undefined ? [] : ['--pcap', `file=${trace.pcap},truncate`, '--record', trace.recording]),
    ...['--script-socket', `path=${script}`],
    ...options,
  ])
  const id = `tpm${index}`
  return {
    ...tpm,
    index,
    script,
    qemuArguments: [
      ...['-chardev', `socket,id=${id},path=${optionValue(control)}`],
      ...['-tpmdev', `emulator,id=${id}dev,chardev=${id}`],
      ...['-device', `tpm-${kind},tpmdev=${id}dev`],
    ],
  }
}
