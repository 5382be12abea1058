// Set-up step: Debian packages.

import { installPackages, missingPackages } from './apt.mjs'
import { packagesFor } from './packages.mjs'

/** @param {import('./packages.mjs').Need[]} needs @returns {import('./steps.mjs').SetupStep} */
export function debianPackages(needs) {
  const missing = () => missingPackages(packagesFor(needs))
  return {
    title: 'Debian packages',
    isDone: () => missing().length === 0,
    announce: () => `Install Debian packages: ${missing().join(' ')}`,
    run: (progress) => installPackages(missing(), progress),
  }
}
