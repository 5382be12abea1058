// The runner of virtual machines is a part of the programs (src/machine): this loads it into a script.

import { existsSync } from 'node:fs'
import path from 'node:path'
import { UserError } from '../lib/command.mjs'
import { projectRoot } from '../lib/paths.mjs'
import { loadTypeScript } from '../lib/typescript.mjs'
import { npmPackages } from '../setup/npm.mjs'
import { runSteps } from '../setup/steps.mjs'

/** @typedef {typeof import('../../src/machine/index.ts')} MachineRoom */

/** @type {Promise<MachineRoom> | undefined} */
let loaded

/** @returns {Promise<MachineRoom>} */
export function machineRoom() {
  loaded ??= load()
  return loaded
}

/** @returns {Promise<MachineRoom>} */
async function load() {
  // A fresh clone is asked for its kernels before anything is set up.
  if (!existsSync(path.join(projectRoot, 'node_modules/esbuild'))) await runSteps([npmPackages()])
  return loadTypeScript('src/machine/index.ts')
}

/**
 * @template T
 * @param {(room: MachineRoom) => Promise<T>} work
 * @returns {Promise<T>}
 * @throws {UserError} with what a fault of the room has to say
 */
export async function withMachineRoom(work) {
  const room = await machineRoom()
  try {
    return await work(room)
  } catch (error) {
    if (!(error instanceof room.MachineFault)) throw error
    const { message, hint, output } = error
    throw new UserError(message, { hint, output, cause: error })
  }
}
