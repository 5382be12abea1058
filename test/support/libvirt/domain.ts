/** libvirt's description of a virtual machine with a TPM. */
import { statSync } from 'node:fs'
import { INITRAMFS_ADDRESS, initramfsArguments } from '../qemu-guest.ts'
import type { GuestImage } from '../qemu-image.ts'

export interface Domain {
  readonly name: string
  readonly uuid: string
  readonly tpm: '1.2' | '2.0'
  /** UUID of the secret that encrypts the state. */
  readonly secret?: string
  /** Without, there is firmware only. */
  readonly guest?: GuestImage
  /** A file in the format qcow2. */
  readonly disk?: string
}

/** Where the guest's shell listens, on its host. */
export const shellSocket = ({ name }: Domain): string => `/run/${name}.shell`
/** What the guest's kernel prints. */
export const consoleFile = ({ name }: Domain): string => `/var/log/libvirt/qemu/${name}.console`

export function domainXml(domain: Domain): string {
  const { name, uuid, tpm, secret, guest, disk } = domain
  const encryption = secret === undefined ? '' : `<encryption secret='${secret}'/>`
  return `
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>${name}</name>
  <uuid>${uuid}</uuid>
  <memory unit='MiB'>${guest === undefined ? 32 : 256}</memory>
  <vcpu>1</vcpu>
  <cpu mode='maximum'/>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    ${guest === undefined ? '' : bootXml(guest)}
  </os>
  <features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    ${guest === undefined ? '' : serialXml(domain)}
    ${disk === undefined ? '' : diskXml(disk)}
    <tpm model='${tpm === '2.0' ? 'tpm-crb' : 'tpm-tis'}'>
      <backend type='emulator' version='${tpm}'>${encryption}</backend>
    </tpm>
  </devices>
  ${guest === undefined ? '' : commandLineXml(guest)}
</domain>
`
}

const bootXml = (guest: GuestImage): string => `
    <kernel>${guest.kernel}</kernel>
    <cmdline>${kernelCommandLine(guest)}</cmdline>`

const kernelCommandLine = ({ initramfs }: GuestImage): string =>
  `console=ttyS0 quiet panic=-1 mitigations=off nokaslr initrdmem=${INITRAMFS_ADDRESS},${statSync(initramfs).size}`

const serialXml = (domain: Domain): string => `
    <serial type='file'><source path='${consoleFile(domain)}'/><target port='0'/></serial>
    <serial type='unix'><source mode='bind' path='${shellSocket(domain)}'/><target port='1'/></serial>`

const diskXml = (file: string): string => `
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='${file}'/>
      <target dev='vda' bus='virtio'/>
    </disk>`

const commandLineXml = (guest: GuestImage): string => `
  <qemu:commandline>
    ${initramfsArguments(guest)
      .map((word) => `<qemu:arg value='${word}'/>`)
      .join('')}
  </qemu:commandline>`
