// Set-up step: npm packages, exactly those of package-lock.json.

import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { run, succeeds, UserError } from '../lib/command.mjs'
import { projectRoot } from '../lib/paths.mjs'
import { compileEnvironment } from './node-headers.mjs'

/** @returns {import('./steps.mjs').SetupStep} */
export function npmPackages() {
  return {
    title: 'npm packages',
    isDone: () => matchesLock() && ioctlLoads(),
    announce: () => 'Install npm packages: npm ci',
    run: async (progress) => {
      await run('npm', ['ci', '--no-audit', '--no-fund'], {
        cwd: projectRoot,
        env: compileEnvironment(),
        onLine: progress,
        hint: 'Is this machine online? `npm ci` alone shows more',
      })
      if (!ioctlLoads()) {
        throw new UserError('Cannot load the npm package "ioctl": its native part was not built', {
          hint: 'npm may have been told not to run install scripts: try `npm rebuild ioctl --ignore-scripts=false`',
        })
      }
    },
  }
}

/** @returns {boolean} whether node_modules holds what the lock file asks for; npm keeps its own record there */
function matchesLock() {
  const record = path.join(projectRoot, 'node_modules/.package-lock.json')
  if (!existsSync(record)) return false
  const wanted = packagesOf(path.join(projectRoot, 'package-lock.json'))
  const installed = packagesOf(record)
  return Object.entries(wanted).every(
    ([place, { version, optional }]) => place === '' || optional || installed[place]?.version === version,
  )
}

/** @param {string} lockFile @returns {Record<string, { version: string, optional?: boolean }>} */
function packagesOf(lockFile) {
  return JSON.parse(readFileSync(lockFile, 'utf8')).packages
}

/** @returns {boolean} its native part is tied to the version of Node it was built with */
function ioctlLoads() {
  return succeeds(process.execPath, ['-e', 'require("ioctl")'], { cwd: projectRoot })
}
