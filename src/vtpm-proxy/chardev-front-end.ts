/**
 * `swtpm chardev`: TPM commands from a character device, which is the server end of a vTPM proxy that we ask the kernel
 * for, or a descriptor or path that the user names.
 */
import { closeSync, openSync } from 'node:fs'
import { TPM_SUCCESS } from '../../contract/tpm-result.ts'
import { printOut } from '../programs/common/output.ts'
import type { ChardevConfig } from '../serve/config.ts'
import { openControl } from '../serve/control/open-control.ts'
import type { Session } from '../serve/session.ts'
import { inherited } from '../serve/socket/open-endpoint.ts'
import { SwtpmError } from '../system/errors.ts'
import { log } from '../system/log.ts'
import { reasonOf } from '../system/reason.ts'
import { type NewDevice, newProxyDevice, registered } from './new-device.ts'

/** Serves until the session ends. @throws SwtpmError */
export async function serveChardev(session: Session, config: ChardevConfig): Promise<void> {
  const { tpm } = session
  // The kernel has no more commands for us, or the peer has gone: nothing is left to serve.
  const endWithPeer = (): void => void tpm.engine.on('clientClosed', () => void session.end(0))

  if (config.device.kind === 'vtpm-proxy') {
    // The kernel talks to the TPM as soon as the device is there, so the TPM comes first.
    await session.powerOn()
    // The kernel gives the self-test two seconds, and on a busy machine makes no device of a TPM that takes longer.
    await tpm.selfTest()
    session.goOn()
    const device = newProxyDevice(tpm.version)
    session.onEnd(() => closeSync(device.serverFd))
    // Closed before it is there: the kernel has asked the TPM its first questions and given up, on a busy machine say.
    const givenUp = new Promise<false>((resolve) => tpm.engine.once('clientClosed', () => resolve(false)))
    const ended = session.ended.then(() => false)
    await attach(session, device.serverFd)
    if (!(await Promise.race([registered(device), givenUp, ended]))) {
      throw new SwtpmError('SWTPM_ERR_DEVICE', `The kernel has not registered /dev/tpm${device.tpmNum}`)
    }
    endWithPeer()
    announce(device)
    session.device = `/dev/tpm${device.tpmNum}`
    const control = openControl(session, config.control)
    session.writePidFile()
    control.serve()
  } else {
    endWithPeer()
    const fd = config.device.kind === 'fd' ? inherited(config.device.fd) : openDevice(config.device.path)
    session.onEnd(() => closeSync(fd))
    if (config.device.kind === 'path') session.device = config.device.path
    const control = openControl(session, config.control)
    await session.powerOn()
    // As above: what the descriptor leads to may be such a device, too.
    await tpm.selfTest()
    session.writePidFile()
    control.serve()
    await attach(session, fd)
  }
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

function openDevice(path: string): number {
  try {
    return openSync(path, 'r+')
  } catch (error) {
    throw new SwtpmError('SWTPM_ERR_DEVICE', `Cannot open ${path}: ${reasonOf(error)}`, {
      cause: error,
    })
  }
}
