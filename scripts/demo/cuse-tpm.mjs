// A TPM as a character device in user space: `swtpm cuse` behind /dev/vtpmN, controlled by swtpm_ioctl.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { until } from './until.mjs'

export class CuseTpm {
  title = 'A TPM as a character device in user space, through CUSE'
  stateDir = 'cuse-state'
  hasResourceManager = false

  constructor() {
    let number = 0
    while (existsSync(`/dev/vtpm${number}`)) number++
    this.name = `vtpm${number}`
    this.device = `/dev/${this.name}`
    this.tcti = `device:${this.device}`
    /** @type {Record<string, string | undefined> | undefined} what the commands need that speak to the running TPM */
    this.running = undefined
  }

  /** @param {import('./walkthrough.mjs').Walkthrough} walkthrough */
  async start(walkthrough) {
    await walkthrough.run(`swtpm cuse -n ${this.name} --tpm2 --tpmstate dir=${this.stateDir}`, async () => {
      await until(`${this.device} is there`, () => existsSync(this.device))
      return `${this.device} is there; the TPM is still off`
    })
    this.running = walkthrough.env
    await walkthrough.run(`swtpm_ioctl --tpm-device ${this.device} -i`, () => 'powered on')
    await walkthrough.run(
      `tpm2_startup --tcti=${this.tcti} --clear`,
      () => 'started up, as firmware would do',
    )
  }

  /** @param {import('./walkthrough.mjs').Walkthrough} walkthrough */
  async stop(walkthrough) {
    await walkthrough.run(`swtpm_ioctl --tpm-device ${this.device} -s`, async () => {
      await until(`${this.device} is gone`, () => !existsSync(this.device))
      this.running = undefined
      return `shut down, ${this.device} is gone`
    })
  }

  /** Ends the TPM without ceremony, if it runs. */
  async abandon() {
    if (this.running) spawnSync('swtpm_ioctl', ['--tpm-device', this.device, '-s'], { env: this.running })
  }
}
