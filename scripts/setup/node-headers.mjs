// Where node-gyp finds the headers of this Node.

import { existsSync } from 'node:fs'
import path from 'node:path'

/** node-gyp's `nodedir`. Its other name, npm_config_nodedir, is a setting that npm does not know, and npm warns of those. */
const NODEDIR = 'npm_package_config_node_gyp_nodedir'

/**
 * The environment for whatever compiles against Node. Most installations of Node bring their headers along: using
 * those saves a download and is sure to match.
 *
 * @returns {NodeJS.ProcessEnv}
 */
export function compileEnvironment() {
  const prefix = path.resolve(path.dirname(process.execPath), '..')
  const present = existsSync(path.join(prefix, 'include/node/node_api.h'))
  return {
    ...process.env,
    ...(present && !process.env.npm_config_nodedir ? { [NODEDIR]: prefix } : {}),
  }
}
