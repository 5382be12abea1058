// Set-up step: Debian packages.

import { installPackages, missingPackages } from './apt.mjs'
import { packagesFor } from './packages.mjs'

/** @param {import('./packages.mjs').Purpose} purpose @returns {import('./steps.mjs').SetupStep} */
export function debianPackages(purpose) {
  const missing = () => missingPackages(packagesFor(purpose))
  return {
    title: 'Debian packages',
    isDone: () => missing().length === 0,
    announce: () => `Install Debian packages: ${missing().join(' ')}`,
    run: (progress) => installPackages(missing(), progress),
  }
}
