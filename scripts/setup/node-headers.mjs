// Where node-gyp finds the headers of this Node.

import { existsSync } from 'node:fs'
import path from 'node:path'

/** node-gyp's `nodedir`. Its other name, npm_config_nodedir, is a setting that npm does not know, and npm warns of those. */
const NODEDIR = 'npm_package_config_node_gyp_nodedir'

/** @returns {string | undefined} where this Node was installed with its headers: using those saves a download and is sure to match */
export function ownHeaders() {
  const prefix = path.resolve(path.dirname(process.execPath), '..')
  return existsSync(path.join(prefix, 'include/node/node_api.h')) ? prefix : undefined
}

/** @returns {NodeJS.ProcessEnv} for whatever compiles against Node */
export function compileEnvironment() {
  const prefix = ownHeaders()
  return {
    ...process.env,
    ...(prefix && !process.env.npm_config_nodedir ? { [NODEDIR]: prefix } : {}),
  }
}
