/**
 * Tells the service manager, such as systemd, when the TPM can be used and when it ends. It believes the process that it has
 * started, which is the keeper.
 * @see sd_notify(3)
 */
import { closeSync } from 'node:fs'
import { log } from '../system/log.ts'
import { check } from '../system/native/check.ts'
import { native } from '../system/native/load.ts'
import { reasonOf } from '../system/reason.ts'
import type { Keeper } from './keeper.ts'

export interface ServiceManager {
  ready(): void
  stopping(): void
}

/**
 * Connects to the socket that NOTIFY_SOCKET names. Call it before a change of root directory or user, which may put the
 * socket out of reach. Without NOTIFY_SOCKET, and after a failure (a warning), the calls do nothing.
 */
export function connectServiceManager(keeper: Keeper, environment: NodeJS.ProcessEnv): ServiceManager {
  const name = environment.NOTIFY_SOCKET
  if (name === undefined || name === '') return { ready() {}, stopping() {} }
  let fd: number | undefined
  let first = true
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
      check(keeper.ask('NOTIFY', 0, Buffer.from(text), first ? [fd] : []).value, `send ${text}`)
      first = false
    })
  attempt(() => {
    fd = check(native.connectDatagram(name), 'connect')
  })
  return { ready: () => tell('READY=1'), stopping: () => tell('STOPPING=1') }
}
