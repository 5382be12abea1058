/** `swtpm socket` as virtual machine monitors use it: nothing but a control socket, over which the data connection comes. */

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { isListening } from './listening.ts'
import { type Cleanup, Swtpm, temporaryDirectory } from './swtpm.ts'

export interface ControlTpm {
  readonly swtpm: Swtpm
  readonly directory: string
  readonly controlPath: string
}

export interface ControlTpmOptions {
  /** The state; the control socket is in a directory of its own. */
  readonly directory?: string
  /** Another swtpm than ours. */
  readonly program?: string
  /** Descriptors to hand in, from 3 on. */
  readonly stdio?: (number | 'pipe')[]
  /** Added to its environment. */
  readonly env?: NodeJS.ProcessEnv
}

/** Started, its control socket there. */
export async function startControlTpm(
  t: Cleanup,
  args: readonly string[],
  { directory = temporaryDirectory(t), program, stdio = [], env = {} }: ControlTpmOptions = {},
): Promise<ControlTpm> {
  const controlPath = join(temporaryDirectory(t), 'control')
  rmSync(controlPath, { force: true })
  const swtpm = new Swtpm(
    ['socket', '--tpmstate', `dir=${directory}`, '--ctrl', `type=unixio,path=${controlPath}`, ...args],
    program === undefined ? { stdio, env } : { stdio, env, program },
  )
  t.after(() => swtpm.stop('SIGKILL'))
  await swtpm.until(() => isListening(controlPath), 'its control socket listens')
  return { swtpm, directory, controlPath }
}
