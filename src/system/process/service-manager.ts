/**
 * Tells the service manager, such as systemd, when the TPM can be used and when it ends.
 * @see sd_notify(3)
 */
import { closeSync } from 'node:fs'
import { log } from '../log.ts'
import { check } from '../native/check.ts'
import { native } from '../native/load.ts'
import { reasonOf } from '../reason.ts'

export interface ServiceManager {
  ready(): void
  stopping(): void
}

/**
 * Connects to the socket that NOTIFY_SOCKET names. Call it before a change of root directory or user, which may put the
 * socket out of reach. Without NOTIFY_SOCKET, and after a failure (a warning), the calls do nothing.
 */
export function connectServiceManager(environment: NodeJS.ProcessEnv): ServiceManager {
  const name = environment.NOTIFY_SOCKET
  if (name === undefined || name === '') return { ready() {}, stopping() {} }
  let fd: number | undefined
  const attempt = (step: () => void): void => {
    try {
      step()
    } catch (error) {
      log.warn(`Cannot reach the service manager at NOTIFY_SOCKET "${name}": ${reasonOf(error)}`)
      if (fd !== undefined) closeSync(fd)
      fd = undefined
    }
  }
  const tell = (text: string): void =>
    attempt(() => {
      if (fd === undefined) return
      const message = Buffer.from(text)
      check(native.sendMessage(fd, message, 0, message.length, []), `send ${text}`)
    })
  attempt(() => {
    fd = check(native.connectDatagram(name), 'connect')
  })
  return { ready: () => tell('READY=1'), stopping: () => tell('STOPPING=1') }
}
