// Set-up step: npm packages, exactly those of package-lock.json.

import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { run } from '../lib/command.mjs'
import { projectRoot } from '../lib/paths.mjs'
import { compileEnvironment } from './node-headers.mjs'

/** @returns {import('./steps.mjs').SetupStep} */
export function npmPackages() {
  return {
    title: 'npm packages',
    isDone: matchesLock,
    announce: () => 'Install npm packages: npm ci',
    run: async (progress) => {
      await run('npm', ['ci', '--no-audit', '--no-fund'], {
        cwd: projectRoot,
        env: compileEnvironment(),
        onLine: progress,
        hint: 'Is this machine online? `npm ci` alone shows more',
      })
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
