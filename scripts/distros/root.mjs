// Makes the root of a distribution: a minimal Debian with Node and what the set-up installs, kept in the cache.

import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { rename, rm, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { capture, run, succeeds, UserError } from '../lib/command.mjs'
import { distroCacheDir } from '../lib/paths.mjs'
import { packagesFor } from '../setup/packages.mjs'
import { aptOptions, debianArchive } from './archive.mjs'
import { inNamespaces } from './namespaces.mjs'
import { makeScratch } from './scratch.mjs'

/** The engine and its tests read neither, and both are many files. */
const LEFT_OUT = ['/usr/share/doc/*', '/usr/share/locale/*']

/** @returns {string | undefined} why no root can be made or entered here, or nothing if it can */
export function whyNoRoots() {
  if (process.getuid?.() !== 0) return 'making the root of another distribution takes root'
  const [program, ...args] = inNamespaces(['true'])
  if (!succeeds(program, args)) return 'this machine does not let root make mount and process namespaces'
  if (!succeeds('sh', ['-c', 'command -v mmdebstrap']))
    return 'mmdebstrap is missing: run `npm run setup -- test`'
  return undefined
}

/**
 * @param {import('./distros.mjs').Distro} distro
 * @param {{ fresh?: boolean, onProgress?: (line: string) => void }} [options] `fresh`: make it again, though it is there
 * @returns {Promise<string>} the directory; nothing may be written below it
 * @throws {UserError}
 */
export async function ensureRoot(distro, { fresh = false, onProgress = () => {} } = {}) {
  const reason = whyNoRoots()
  if (reason) throw new UserError(`Cannot make a root of Debian ${distro.suite}: ${reason}`)
  const directory = path.join(distroCacheDir, distro.suite)
  if (!fresh && isRootAtHand(distro)) return directory
  const scratch = makeScratch(distro.suite)
  const made = path.join(scratch, 'root')
  try {
    await make(distro, scratch, made, onProgress)
    await rm(stamp(distro), { force: true })
    await rm(directory, { recursive: true, force: true })
    await rename(made, directory)
    // Written last: a directory without it was left by a run that was broken off.
    await writeFile(stamp(distro), contentsOf(distro))
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  return directory
}

/** @param {import('./distros.mjs').Distro} distro @returns {boolean} whether ensureRoot() has nothing to do */
export function isRootAtHand(distro) {
  return existsSync(stamp(distro)) && readFileSync(stamp(distro), 'utf8') === contentsOf(distro)
}

/** @param {import('./distros.mjs').Distro} distro */
const stamp = ({ suite }) => path.join(distroCacheDir, `${suite}.contents`)

/** @param {import('./distros.mjs').Distro} distro @returns {string} changes whenever the root has to be made again */
const contentsOf = (distro) =>
  createHash('sha256')
    .update(JSON.stringify([distro, packagesOf(distro), LEFT_OUT]))
    .digest('hex')

/** @param {import('./distros.mjs').Distro} distro */
function packagesOf({ suite, node }) {
  // libnode-dev has the headers; Debian's package of npm brings it along. An old npm compiles with Python's setuptools. ccache is
  // what visits compile with; the others make the Debian package and check it.
  return [
    ...(node ? [] : ['nodejs', 'libnode-dev']),
    ...['python3-setuptools', 'ccache', 'dpkg-dev', 'lintian'],
    ...packagesFor(['quick'], suite),
  ]
}

/**
 * @param {import('./distros.mjs').Distro} distro
 * @param {string} scratch a directory for what is needed meanwhile
 * @param {string} root
 * @param {(line: string) => void} onProgress
 */
async function make(distro, scratch, root, onProgress) {
  const options = path.join(scratch, 'apt.conf')
  const programs = path.join(scratch, 'local')
  const archive = await debianArchive()
  // The quicker one first: it fails earlier.
  await fetchNode(distro, programs, onProgress)
  await writeFile(options, `${aptOptions()}APT::Install-Recommends "false";\n`)
  const [program, ...args] = inNamespaces([
    ...['mmdebstrap', '--mode=root', '--variant=apt'],
    ...[`--aptopt=${options}`, '--dpkgopt=force-unsafe-io', '--skip=cleanup/apt/lists'],
    ...LEFT_OUT.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
    `--include=${packagesOf(distro).join(',')}`,
    ...[distro.suite, root, archive],
  ])
  await run(program, args, {
    onLine: onProgress,
    hint: 'Is this machine online? An old debian-archive-keyring does not know the keys of a newer suite',
  })
  await run('cp', ['-a', `${programs}/.`, path.join(root, 'usr/local')])
}

/** @param {import('./distros.mjs').Distro} distro @param {string} prefix @param {(line: string) => void} onLine */
async function fetchNode({ node, npm }, prefix, onLine) {
  const nodePackage = `node-linux-${process.arch}`
  const wanted = [`npm@${npm}`, ...(node ? [`${nodePackage}@${node}`] : [])]
  // By force: they need not run on the Node of this machine.
  const options = ['--ignore-scripts', '--force', '--no-audit', '--no-fund', '--loglevel=error']
  await run('npm', ['install', '--global', '--prefix', prefix, ...options, ...wanted], {
    onLine,
    hint: 'Is this machine online?',
  })
  if (!node) return
  const program = path.join(prefix, 'bin/node')
  if (!existsSync(program)) await symlink(`../lib/node_modules/${nodePackage}/bin/node`, program)
}

/** @param {string} root @returns {string} "gcc 14.2.0, libtpms 0.9.2, …": what decides about building and running */
export function describeRoot(root) {
  const version = (/** @type {string} */ name) =>
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own notation
    capture('dpkg-query', [`--admindir=${root}/var/lib/dpkg`, '-W', '-f', '${Version}', name])
      .replace(/^\d+:/, '')
      .replace(/[-+~].*/, '')
  const [node = ''] = capture('chroot', [root, 'node', '--version']).trim().split('\n')
  const rows = [
    ['gcc', 'g++'],
    ['libtpms', 'libtpms-dev'],
    ['OpenSSL', 'libssl-dev'],
  ]
  return [`Node ${node.slice(1)}`, ...rows.map(([label, name]) => `${label} ${version(name)}`)].join(', ')
}
