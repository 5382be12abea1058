/**
 * Tells the service manager that started us when the TPM can be used, and when it ends.
 * @see sd_notify(3)
 */
import { closeSync } from 'node:fs'
import { log } from '../log.ts'
import { check, native } from '../native.ts'
import { reasonOf } from '../reason.ts'

export interface ServiceManager {
  ready(): void
  stopping(): void
}

/**
 * Connects to the socket that NOTIFY_SOCKET names: it may be out of reach once the root directory or the user has
 * changed. Without one, or where that fails, nobody is told; a TPM does not depend on it.
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
