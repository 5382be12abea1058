/**
 * `swtpm chardev`: TPM commands from a character device, which is the server end of a vTPM proxy that we ask the kernel
 * for, or a descriptor or path that the user names.
 */
import { closeSync, fstatSync, openSync } from 'node:fs'
import { TPM_SUCCESS } from '../../contract/tpm-result.ts'
import { printOut } from '../programs/common/output.ts'
import type { ChardevConfig } from '../serve/config.ts'
import { openControl, resumeControl } from '../serve/control/open-control.ts'
import type { RestRecord } from '../serve/rest/rest-record.ts'
import type { Session } from '../serve/session.ts'
import { inherited } from '../serve/socket/open-endpoint.ts'
import { SwtpmError } from '../system/errors.ts'
import { kindOf } from '../system/file-kind.ts'
import { guarded } from '../system/guard.ts'
import { DeviceDirectory, isDevice } from '../system/io/device-directory.ts'
import { log } from '../system/log.ts'
import { reasonOf } from '../system/reason.ts'
import { type NewDevice, newProxyDevice, registered } from './new-device.ts'

/** `--vtpm-proxy`. @param devices /dev @throws SwtpmError */
export async function serveVtpmProxy(
  session: Session,
  config: ChardevConfig,
  devices: DeviceDirectory,
): Promise<void> {
  const { tpm } = session
  // The kernel talks to the TPM as soon as the device is there, so the TPM comes first.
  await session.powerOn()
  // The kernel gives the self-test two seconds, and on a busy machine makes no device of a TPM that takes longer.
  await tpm.selfTest()
  session.goOn()
  const owned = ownDevice(session)
  await makeProxyDevice(session, config, devices, owned)
  endWithPeer(session)
  session.plug = {
    async out() {
      await tpm.engine.detach()
      owned.close()
    },
    async in() {
      const found = DeviceDirectory.open()
      try {
        await makeProxyDevice(session, config, found, owned)
      } finally {
        found.close()
      }
    },
  }
  const control = openControl(session, config.control)
  session.writePidFile()
  control.serve()
}

/** Has the kernel make a device, and register it. @throws SwtpmError */
async function makeProxyDevice(
  session: Session,
  config: ChardevConfig,
  devices: DeviceDirectory,
  owned: OwnedDevice,
): Promise<void> {
  const device = newProxyDevice(session.tpm.version, devices, config.chroot ?? '')
  owned.fd = device.serverFd
  await register(session, device, devices)
  announce(device)
  if (!isDevice(devices.find(`tpm${device.tpmNum}`), device)) warnOfMissingNode()
  session.device = `/dev/tpm${device.tpmNum}`
}

/** The kernel asks the TPM what it must know. @throws SwtpmError */
async function register(session: Session, device: NewDevice, devices: DeviceDirectory): Promise<void> {
  const stack = session.script?.responders
  if (stack === undefined) return expectRegistration(session, device, devices)
  stack.registering = true
  try {
    await expectRegistration(session, device, devices)
  } finally {
    stack.registering = false
  }
}

/**
 * A device of a TPM that is on, for a program.
 * @returns its number, and what takes it away once the engine serves it no more
 * @throws SwtpmError
 */
export async function exposeVtpmProxy(
  session: Session,
  devices: DeviceDirectory,
): Promise<{ readonly tpmNum: number; close(): void }> {
  await session.tpm.selfTest()
  const device = newProxyDevice(session.tpm.version, devices, '')
  try {
    await register(session, device, devices)
  } catch (error) {
    await session.tpm.engine.detach()
    closeSync(device.serverFd)
    throw error
  }
  return { tpmNum: device.tpmNum, close: () => closeSync(device.serverFd) }
}

/** A device that is there already. @throws SwtpmError */
export async function serveChardev(
  session: Session,
  config: ChardevConfig,
  device: Exclude<ChardevConfig['device'], { kind: 'vtpm-proxy' }>,
): Promise<void> {
  endWithPeer(session)
  const fd = device.kind === 'fd' ? inherited(device.fd) : openDevice(device.path)
  ownDevice(session, fd)
  if (device.kind === 'path') session.device = device.path
  const control = openControl(session, config.control)
  await session.powerOn()
  // As above: what the descriptor leads to may be such a device, too.
  await session.tpm.selfTest()
  session.writePidFile()
  control.serve()
  await attach(session, fd)
}

/** Goes on where an earlier supervisor has served. @throws SwtpmError */
export function resumeChardev(session: Session, config: ChardevConfig, record: RestRecord): void {
  ownDevice(session, record.take('device'))
  endWithPeer(session)
  const control = resumeControl(session, config.control, record)
  session.resumePidFile(record)
  control.serve()
}

/** The device lasts as long as its descriptor is open. */
class OwnedDevice {
  fd: number | undefined

  close(): void {
    if (this.fd !== undefined) closeSync(this.fd)
    this.fd = undefined
  }
}

function ownDevice(session: Session, fd?: number): OwnedDevice {
  const owned = new OwnedDevice()
  owned.fd = fd
  session.onEnd(() => owned.close())
  session.onRest((record) => {
    if (owned.fd === undefined) return false
    record.keep('device', owned.fd)
    return true
  })
  return owned
}

/** The kernel has no more commands for us, or the peer has gone: nothing is left to serve. */
function endWithPeer(session: Session): void {
  session.tpm.engine.on('clientClosed', () => guarded(session.end(0)))
}

/** Has the kernel ask the TPM what it must know. @throws SwtpmError */
async function expectRegistration(
  session: Session,
  device: NewDevice,
  devices: DeviceDirectory,
): Promise<void> {
  const waiting = new AbortController()
  // Closed before it is there: the kernel has asked the TPM its first questions and given up, on a busy machine say.
  session.tpm.engine.once('clientClosed', () => waiting.abort())
  session.onEnd(() => waiting.abort())
  await attach(session, device.serverFd)
  if (await registered(device, devices, waiting.signal)) return
  const reason = waiting.signal.aborted
    ? 'the kernel has given up on the TPM'
    : 'the kernel has not registered it'
  throw new SwtpmError(
    'SWTPM_ERR_DEVICE',
    `Cannot create device "/dev/tpm${device.tpmNum}": ${reason}; \`dmesg\` says why`,
  )
}

async function attach(session: Session, fd: number): Promise<void> {
  const result = await session.tpm.engine.attach('chardev', fd)
  if (result !== TPM_SUCCESS) {
    throw new SwtpmError('SWTPM_ERR_DEVICE', `Cannot serve the device: the engine answered ${result}`)
  }
}

/**
 * Byte for byte the first line on stdout: LXD and Incus find their device by it. The log does not name the path again,
 * because others look for it in both streams at once and expect one line.
 */
function announce({ tpmNum, major, minor }: NewDevice): void {
  printOut(`New TPM device: /dev/tpm${tpmNum} (major/minor = ${major}/${minor})\n`)
  log.info(`Serving tpm${tpmNum}`)
}

/** In most containers it is another program that makes the node, by the numbers of the announcement. */
function warnOfMissingNode(): void {
  log.warn(
    'There is no node for the new device, because "/dev" is not the kernel\'s devtmpfs; make it with `mknod` and the numbers above',
  )
}

function openDevice(path: string): number {
  let fd: number
  try {
    fd = openSync(path, 'r+')
  } catch (error) {
    throw new SwtpmError('SWTPM_ERR_DEVICE', `Cannot open ${path}: ${reasonOf(error)}`, {
      cause: error,
    })
  }
  const status = fstatSync(fd)
  if (!status.isFile() && !status.isBlockDevice()) return fd
  closeSync(fd)
  throw new SwtpmError(
    'SWTPM_ERR_DEVICE',
    `Cannot serve "${path}": it is ${kindOf(status)}, not a character device; what it holds would be taken for commands, and be written over`,
  )
}
