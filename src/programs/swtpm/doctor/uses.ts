/** What can be done with this program, and what each needs. */
import type { Check } from './check.ts'
import { certificates } from './checks/certificates.ts'
import { containers } from './checks/containers.ts'
import { cuse, vtpmProxy } from './checks/kernel-device.ts'
import { libvirt } from './checks/libvirt.ts'
import { addon, confinement, ioctlPackage, libtpms, node, onPath } from './checks/program.ts'
import { appArmorForLibvirt, ownProfile, seLinux } from './checks/security-modules.ts'
import { services } from './checks/services.ts'
import type { Use } from './doctor-options.ts'

export interface Diagnosis {
  readonly use: Use
  readonly works: boolean
  readonly checks: readonly Check[]
}

const program = (): Check[] => [node(), addon(), libtpms()]

const CHECKS: Readonly<Record<Use, () => Check[]>> = {
  socket: () => [...program(), ...confinement(), ...ownProfile(), onPath(), certificates()],
  cuse: () => [...program(), ...cuse()],
  'vtpm-proxy': () => [...program(), ioctlPackage(), ...vtpmProxy()],
  services: () => services(),
  libvirt: () => [...program(), ...libvirt(), appArmorForLibvirt(), seLinux()],
  containers: () => [...program(), ioctlPackage(), ...vtpmProxy(), ...containers()],
}

export function diagnose(use: Use): Diagnosis {
  const checks = CHECKS[use]()
  return { use, works: checks.every(({ level }) => level !== 'missing'), checks }
}
