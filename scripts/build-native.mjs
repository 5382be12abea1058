#!/usr/bin/env node
// `npm run build:native`, `npm run build:bench`: node-gyp, with the headers that Node was installed with where it has them.

import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { projectRoot } from './lib/paths.mjs'
import { compileEnvironment } from './setup/node-headers.mjs'

const NODE_GYP = path.join(projectRoot, 'node_modules/node-gyp/bin/node-gyp.js')

const [folder = 'native'] = process.argv.slice(2)
const { status, error } = spawnSync(
  process.execPath,
  [NODE_GYP, 'configure', 'build', '-C', folder, '--jobs', 'max'],
  { cwd: projectRoot, env: compileEnvironment(), stdio: 'inherit' },
)
if (error) throw error
process.exitCode = status ?? 1
