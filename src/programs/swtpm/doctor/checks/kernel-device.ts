/** Whether this user can make devices here: by /dev/cuse, by /dev/vtpmx. */
import { closeSync, openSync } from 'node:fs'
import { CUSE, type DeviceMaker, obstacleOf, VTPMX } from '../../../../system/io/device-maker.ts'
import { KERNEL_MODULES, moduleState } from '../../../../system/missing-things.ts'
import { reasonOf } from '../../../../system/reason.ts'
import { describeUser } from '../../../../system/surroundings.ts'
import { type Check, isRoot, missing, ok, textOf } from '../check.ts'

const CAP_SYS_ADMIN = 21n

export function cuse(): Check[] {
  const device = deviceCheck(CUSE)
  if (isRoot()) return [device]
  return [
    device,
    missing(
      'root',
      `swtpm cuse makes its device as root, and this is user ${describeUser()}`,
      'sudo swtpm cuse …, with --runas USER for who the TPM is to run as',
    ),
  ]
}

export function vtpmProxy(): Check[] {
  const device = deviceCheck(VTPMX)
  if (hasCapability(CAP_SYS_ADMIN)) return [device]
  return [
    device,
    missing(
      'cap-sys-admin',
      `the kernel makes devices for who has CAP_SYS_ADMIN, and user ${describeUser()} has it not here`,
      isRoot()
        ? '--cap-add SYS_ADMIN for the container, or a broker outside (docs/containers.md)'
        : 'sudo swtpm chardev --vtpm-proxy …, with --runas USER for who the TPM is to run as',
    ),
  ]
}

/** Opening it makes nothing, and closing it leaves nothing. */
function deviceCheck(maker: DeviceMaker): Check {
  const path = `/dev/${maker.name}`
  try {
    closeSync(openSync(path, 'r+'))
    const how = moduleState(maker.module) === 'there' ? ` (${KERNEL_MODULES[maker.module]})` : ''
    return ok('device', `${path} is there, and this user may use it${how}`)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const { reason, remedy } = obstacleOf(code, maker) ?? {}
    const why = reason === undefined ? '' : `: ${reason}`
    return missing(
      'device',
      `${path} cannot be opened (${reasonOf(error)})${why}`,
      remedy ?? (reason === undefined ? undefined : `sudo, or --device ${path} for a container`),
    )
  }
}

/** @see proc_pid_status(5), CapEff */
function hasCapability(number: bigint): boolean {
  const [, digits] = /^CapEff:\s*([0-9a-f]+)$/m.exec(textOf('/proc/self/status') ?? '') ?? []
  if (digits === undefined) return isRoot()
  return ((BigInt(`0x${digits}`) >> number) & 1n) === 1n
}
