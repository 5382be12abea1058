// What compiling the npm package takes of a system, what of that is missing, and the line that installs it.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'

/** How each distribution calls a package. @typedef {'apt' | 'dnf' | 'pacman' | 'apk' | 'zypper'} Manager */

/**
 * @typedef {object} Requirement
 * @property {string} what
 * @property {() => boolean} isThere
 * @property {Partial<Record<Manager, string>>} packages
 */

const COMPILER = process.env.CXX || 'c++'
const PYTHONS = [process.env.npm_config_python, process.env.PYTHON, 'python3', 'python']
/** The first node-gyp that does without Python's distutils, which Python 3.12 has no more. */
const GYP_WITHOUT_DISTUTILS = 10

/** @type {Requirement} */
const compiler = {
  what: 'a C++ compiler that knows C++20',
  isThere: () => compiles('#include <span>\nstd::span<int> nothing;'),
  packages: { apt: 'g++', dnf: 'gcc-c++', pacman: 'gcc', apk: 'g++', zypper: 'gcc-c++' },
}

/** @type {Requirement[]} */
const tools = [
  {
    what: 'make',
    isThere: () => runs(process.env.MAKE || 'make', '--version'),
    packages: { apt: 'make', dnf: 'make', pacman: 'make', apk: 'make', zypper: 'make' },
  },
  {
    what: 'Python 3',
    isThere: () => python('import sys; sys.exit(sys.version_info < (3, 6))'),
    packages: { apt: 'python3', dnf: 'python3', pacman: 'python', apk: 'python3', zypper: 'python3' },
  },
  {
    what: "the headers of the distribution's Node",
    isThere: () =>
      !['/usr/bin', '/bin'].includes(path.dirname(process.execPath)) || existsSync('/usr/include/node'),
    packages: { apt: 'libnode-dev', dnf: 'nodejs-devel', apk: 'nodejs-dev' },
  },
]

/** @type {Requirement[]} */
const libraries = [
  {
    what: 'libtpms with its headers',
    isThere: () => hasHeader('libtpms/tpm_library.h'),
    packages: {
      apt: 'libtpms-dev',
      dnf: 'libtpms-devel',
      pacman: 'libtpms',
      apk: 'libtpms-dev',
      zypper: 'libtpms-devel',
    },
  },
  {
    what: 'OpenSSL with its headers',
    isThere: () => hasHeader('openssl/evp.h'),
    packages: {
      apt: 'libssl-dev',
      dnf: 'openssl-devel',
      pacman: 'openssl',
      apk: 'openssl-dev',
      zypper: 'libopenssl-devel',
    },
  },
  {
    what: 'libseccomp with its headers',
    isThere: () => hasHeader('seccomp.h'),
    packages: {
      apt: 'libseccomp-dev',
      dnf: 'libseccomp-devel',
      pacman: 'libseccomp',
      apk: 'libseccomp-dev',
      zypper: 'libseccomp-devel',
    },
  },
]

/** What installs packages, by the ID or ID_LIKE of a distribution. @type {Record<string, { manager: Manager, command: string }>} */
const MANAGERS = {
  debian: { manager: 'apt', command: 'apt-get install' },
  fedora: { manager: 'dnf', command: 'dnf install' },
  rhel: { manager: 'dnf', command: 'dnf install' },
  arch: { manager: 'pacman', command: 'pacman -S --needed' },
  alpine: { manager: 'apk', command: 'apk add' },
  suse: { manager: 'zypper', command: 'zypper install' },
}

/** @type {Requirement} */
const distutils = {
  what: "Python's distutils, which the node-gyp of this npm needs",
  isThere: () => python('import distutils'),
  packages: {
    apt: 'python3-setuptools',
    dnf: 'python3-setuptools',
    pacman: 'python-setuptools',
    apk: 'py3-setuptools',
    zypper: 'python3-setuptools',
  },
}

/** @param {number} nodeGyp its major version @returns {Requirement[]} */
export function missingRequirements(nodeGyp) {
  const ofPython = nodeGyp < GYP_WITHOUT_DISTUTILS ? [distutils] : []
  return [compiler, ...tools, ...ofPython, ...libraries].filter(({ isThere }) => !isThere())
}

/**
 * @param {Requirement[]} missing
 * @param {string} [osRelease] @see os-release(5)
 * @returns {string} the one line to type, or the names of Debian's packages where the distribution is not known
 */
export function installLine(missing, osRelease = readOsRelease()) {
  const ids = [...osRelease.matchAll(/^ID(?:_LIKE)?=(.*)$/gm)].flatMap(([, value = '']) =>
    value.replace(/["']/g, '').split(/\s+/),
  )
  const found = ids.map((id) => MANAGERS[id]).find((each) => each !== undefined)
  const { manager, command } = found ?? { manager: 'apt', command: undefined }
  const names = missing.flatMap(({ packages }) => packages[/** @type {Manager} */ (manager)] ?? []).join(' ')
  if (command === undefined) return `install what Debian calls ${names}`
  return process.getuid?.() === 0 ? `${command} ${names}` : `sudo ${command} ${names}`
}

function readOsRelease() {
  const file = ['/etc/os-release', '/usr/lib/os-release'].find((each) => existsSync(each))
  return file === undefined ? '' : readFileSync(file, 'utf8')
}

/** @param {string} program @param {string[]} args */
function runs(program, ...args) {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0
}

/** Whether a Python runs it. @param {string} line */
const python = (line) => PYTHONS.some((name) => name && runs(name, '-c', line))

/** Without a compiler, the usual place must do. @param {string} name */
function hasHeader(name) {
  return existsSync(path.join('/usr/include', name)) || compiles(`#include <${name}>`)
}

/** @param {string} source */
function compiles(source) {
  const [program = '', ...words] = COMPILER.split(' ')
  const args = [...words, '-std=c++20', '-fsyntax-only', '-x', 'c++', '-']
  return spawnSync(program, args, { input: `${source}\n`, stdio: ['pipe', 'ignore', 'ignore'] }).status === 0
}
