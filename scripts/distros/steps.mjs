// What is done on each distribution: what its users do first, and the quick tests.

import { packagesFor } from '../setup/packages.mjs'

/**
 * @typedef {object} Step
 * @property {string} title
 * @property {string} line for a shell, in the project's folder
 * @property {boolean} [online] it fetches what is not in npm's cache
 */

/** Where this Node's headers are: npm's own node-gyp would fetch them from elsewhere, for the one package that it compiles. */
const HEADERS = '"$(node -p \'path.resolve(process.execPath, "../..")\')"'

/** Every package of the set-up, also those that a root is made without. @param {string} suite */
const allPackages = (suite) => packagesFor(['demo', 'vm', 'quick', 'test', 'bench'], suite).join(' ')

/**
 * @param {string} suite
 * @param {string} tests arguments of `npm test`
 * @param {{ buildAgain?: boolean }} [options] `buildAgain`: once more with `npm run build`, though the set-up has built
 * @returns {Step[]}
 */
export function stepsWith(suite, tests, { buildAgain = false } = {}) {
  return [
    {
      title: 'npm ci',
      line: `npm_package_config_node_gyp_nodedir=${HEADERS} npm ci --no-audit --no-fund`,
      online: true,
    },
    { title: 'every Debian package exists', line: `apt-get install --simulate ${allPackages(suite)}` },
    { title: 'npm run setup, which builds', line: 'npm run setup' },
    ...[...(buildAgain ? ['npm run build'] : []), `npm test -- ${tests}`].map((line) => ({
      title: line,
      line,
    })),
    ...PACKAGES_OF_OURS.filter(({ suites }) => suites.includes(suite)),
  ]
}

/** What users install, made of what has been built. @type {(Step & { suites: string[] })[]} */
const PACKAGES_OF_OURS = [
  {
    title: 'the npm package installs and works',
    line: 'sh scripts/distros/try-npm.sh',
    online: true,
    suites: ['bookworm', 'trixie', 'sid'],
  },
  {
    title: 'the Debian package installs, upgrades and goes',
    line: 'sh scripts/distros/try-deb.sh',
    online: true,
    suites: ['bookworm', 'trixie', 'sid'],
  },
]

/** `npm test -- --quick` without a kernel, because a root has no virtual machine. */
export const QUICK_TESTS = 'checks unit protocol --awake'
