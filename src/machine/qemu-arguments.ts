/** QEMU's command line for a job. */
import type { Job } from './job.ts'

/** The descriptors by which QEMU and we are connected, the first 3: the console, and the guest's channels by name. */
export const CONSOLE_FD = 3
export const CHANNELS = ['control', 'stdout', 'stderr', 'log'] as const
export type Channel = (typeof CHANNELS)[number]
export const fdOf = (channel: Channel): number => CONSOLE_FD + 1 + CHANNELS.indexOf(channel)
/** Behind them come the channels that a job adds. */
export const FIRST_ADDED_FD = CONSOLE_FD + 1 + CHANNELS.length

export interface Files {
  /** The two archives of the guest, one after the other. */
  readonly initrd: string
  readonly accelerator: readonly string[]
}

export function qemuArguments(job: Job, { initrd, accelerator }: Files): string[] {
  const {
    kernel,
    interactive,
    shares = [],
    cpus = 2,
    clock,
    root,
    devices = [],
    gdbPort,
    bootsImage,
    channels = new Map(),
  } = job
  return [
    ...['-M', 'q35', ...accelerator, '-m', '2048'],
    ...['-smp', String(clock === undefined ? cpus : 1)],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-nic', 'none', '-no-reboot'],
    ...['-kernel', bootsImage ? kernel.bzImage : kernel.image, '-initrd', initrd],
    ...['-append', kernelArguments(job)],
    ...['-chardev', `socket,id=console,fd=${CONSOLE_FD}`, '-serial', 'chardev:console'],
    ...['-device', 'virtio-serial-pci'],
    // The escape character is Ctrl-] as in telnet, since shells and screens have uses for Ctrl-A.
    ...(interactive
      ? ['-echr', '0x1d', '-chardev', 'stdio,id=tty,mux=on,signal=off', '-device', 'virtconsole,chardev=tty']
      : []),
    ...CHANNELS.flatMap((name) => channelArguments(name, fdOf(name))),
    ...[...channels.keys()].flatMap((name, at) => channelArguments(name, FIRST_ADDED_FD + at)),
    ...(root === undefined ? share('host', '/', true) : []),
    ...shares.flatMap((directory, number) => share(`share${number}`, directory, false)),
    ...devices,
    ...(gdbPort === undefined ? [] : ['-gdb', `tcp:127.0.0.1:${gdbPort}`, '-S']),
  ]
}

function kernelArguments({ kernelArguments: more = '' }: Job): string {
  return [
    // quiet: every character on the emulated serial port costs time; errors still come through.
    ...['console=ttyS0', 'quiet', 'panic=-1', 'mitigations=off', 'nokaslr', 'random.trust_cpu=on'],
    // On a busy host the emulated timer's interrupts come so late that the kernel would give up on it.
    'no_timer_check',
    // What the guest's scripts write to the log must not be left out for coming fast.
    'printk.devkmsg=on',
    more,
  ]
    .join(' ')
    .trim()
}

const channelArguments = (name: string, fd: number): string[] => [
  ...['-chardev', `socket,id=${name},fd=${fd}`],
  ...['-device', `virtserialport,chardev=${name},name=${name}`],
]

/** remap: inode numbers stay unique across the host's mounts. */
const share = (tag: string, directory: string, isReadOnly: boolean): string[] => [
  '-fsdev',
  `local,id=${tag},path=${optionValue(directory)},security_model=none,multidevs=remap${isReadOnly ? ',readonly=on' : ''}`,
  ...['-device', `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`],
]

/** A comma in a path is written twice. */
export const optionValue = (text: string): string => text.replaceAll(',', ',,')
