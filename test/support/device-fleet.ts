/** Devices under one supervisor: one more takes an engine, and not the start of a program. */
import assert from 'node:assert/strict'
import { deviceName, STARTED } from './cuse-tpm.ts'
import { type RunningFleet, startFleet } from './fleet.ts'
import { type ProxyDevice, proxyDevice } from './proxy-tpm.ts'
import type { Cleanup } from './swtpm.ts'

export interface DeviceFleet extends RunningFleet {
  /** Starts a TPM, until the end of the test. @returns why it is not served; undefined when it is */
  refusal(t: Cleanup, words: readonly string[]): Promise<string | undefined>
  /** A CUSE TPM. @returns the path of its device */
  cuse(t: Cleanup, ...options: readonly string[]): Promise<string>
  proxy(t: Cleanup, ...options: readonly string[]): Promise<ProxyDevice>
}

/** @param wrapper a program that starts the fleet, with its first arguments */
export async function startDeviceFleet(
  t: Cleanup,
  wrapper: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<DeviceFleet> {
  const fleet = await startFleet(t, { wrapper, env })
  let count = 0
  /** The address of the TPM. @throws with what the fleet says */
  const add = async (t: Cleanup, words: readonly string[]): Promise<string> => {
    const name = `tpm${count++}`
    const [iface = '', ...options] = words
    // Options may name another state.
    const all = [iface, '--tpmstate', `dir=${fleet.describe(name).directory}`, ...options]
    const answer = await fleet.ask({ verb: 'add', name, words: all, directory: '/' })
    if (!answer.ok) throw new Error(answer.error)
    // It may be gone, or its fleet.
    t.after(() => fleet.ask({ verb: 'remove', name }).catch(() => {}))
    return answer.tpms[0]?.address as string
  }
  return {
    ...fleet,
    async refusal(t, words) {
      try {
        await add(t, words)
        return undefined
      } catch (error) {
        return (error as Error).message
      }
    },
    cuse: (t, ...options) => add(t, ['cuse', '-n', deviceName(), ...STARTED, ...options]),
    async proxy(t, ...options) {
      const address = await add(t, ['chardev', '--vtpm-proxy', ...options])
      const number = /^\/dev\/tpm(\d+)$/.exec(address)?.[1]
      assert.ok(number, address)
      return proxyDevice(Number(number))
    },
  }
}
