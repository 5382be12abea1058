// Installs: everything or nothing.

import { accessSync, constants, statSync } from 'node:fs'
import path from 'node:path'
import { capture, succeeds, UserError } from '../lib/command.mjs'
import { note, say, step } from '../lib/terminal.mjs'
import { entriesFor } from './entries.mjs'
import { layout, manifestPath } from './layout.mjs'
import { noteOnLeftOver } from './left-over.mjs'
import { libvirtObstacle, rivalProfile } from './libvirt.mjs'
import { digest, readManifest } from './manifest.mjs'
import { laterCommands, tellInstalled } from './system.mjs'
import { isThere, removeEmpty, Transaction } from './transaction.mjs'

const CONFIG_MODE = 0o644

/**
 * @typedef {object} Options
 * @property {string} prefix
 * @property {string} destdir '' for this system
 * @property {string} node
 * @property {boolean} services
 */

/** @param {Options} options @throws {UserError} after everything has been taken back */
export async function install(options) {
  const places = layout(options.prefix)
  const inDestdir = (/** @type {string} */ file) => path.join(options.destdir || '/', file)
  checkNode(options)
  const entries = await step('Gather what is to be installed', () => entriesFor(places, options))

  const manifestFile = manifestPath(places)
  const old = readManifest(inDestdir(manifestFile))
  const { wanted, kept } = decide(entries, old, inDestdir)

  const transaction = new Transaction()
  const onExit = () => takeBack(transaction)
  process.once('exit', onExit)
  try {
    await step(`Install ${wanted.length} files below ${inDestdir(options.prefix)}`, async () => {
      put(transaction, { wanted, old, manifestFile, inDestdir })
      await tryOut(inDestdir(path.join(places.bin, 'swtpm')), options)
    })
    transaction.commit()
    // What an earlier version had in directories of its own may have gone.
    removeEmpty((old?.directories ?? []).map(inDestdir))
  } catch (error) {
    const faults = takeBack(transaction)
    throw explained(error, faults)
  } finally {
    process.off('exit', onExit)
  }

  for (const { path: file } of wanted) say(`  ${inDestdir(file)}`)
  for (const file of kept) {
    note(`${file} was there already and is left as it is`)
    const more = path.basename(file) === 'swtpm_setup.conf' && noteOnLeftOver(file, places.bin, inDestdir)
    if (more) note(more)
  }
  if (options.services) afterwards(places, options)
}

/** @param {Transaction} transaction @returns {string[]} */
const takeBack = (transaction) => transaction.rollBack()

/**
 * @param {import('./entries.mjs').Entry[]} entries
 * @param {import('./manifest.mjs').Manifest | undefined} old
 * @param {(file: string) => string} inDestdir
 */
function decide(entries, old, inDestdir) {
  const ours = new Set(old?.files.map((file) => file.path))
  /** @type {import('./entries.mjs').Entry[]} */
  const wanted = []
  const kept = []
  for (const entry of entries) {
    const target = inDestdir(entry.path)
    if (entry.kind === 'config' && isThere(target)) {
      kept.push(target)
    } else if (isThere(target) && !ours.has(entry.path)) {
      throw new UserError(
        `Cannot install "${target}": it is there already, and not from an earlier installation`,
        {
          hint: 'Remove it (or the package it belongs to), or choose another --prefix',
        },
      )
    } else {
      wanted.push(entry)
    }
  }
  return { wanted, kept }
}

/**
 * @param {Transaction} transaction
 * @param {{ wanted: import('./entries.mjs').Entry[], old: import('./manifest.mjs').Manifest | undefined,
 *   manifestFile: string, inDestdir: (file: string) => string }} what
 */
function put(transaction, { wanted, old, manifestFile, inDestdir }) {
  for (const entry of wanted) {
    const target = inDestdir(entry.path)
    if (entry.kind === 'link') transaction.link(target, entry.contents)
    else transaction.file(target, entry.contents, entry.kind === 'file' ? entry.mode : CONFIG_MODE)
  }
  transaction.makeDirectory(path.dirname(inDestdir(manifestFile)))

  const files = wanted.map((entry) => ({
    path: entry.path,
    kind: entry.kind,
    sha256: digest(entry.contents),
  }))
  const now = new Set(files.map((file) => file.path))
  const before = old?.files ?? []
  // A configuration that an earlier installation brought is still its own to take away.
  const carried = before.filter(({ path: file, kind }) => kind === 'config' && !now.has(file))
  const root = inDestdir('/')
  const made = transaction.madeDirectories.map((directory) => `/${path.relative(root, directory)}`)
  const manifest = {
    version: 1,
    files: [...files, ...carried],
    directories: [...new Set([...(old?.directories ?? []), ...made])].filter(
      (directory) => directory !== '/',
    ),
  }
  // Written last, so it is the first in its place: whatever happens then, it lists what has to be taken away.
  transaction.file(inDestdir(manifestFile), Buffer.from(`${JSON.stringify(manifest, undefined, 1)}\n`), 0o644)
  transaction.putInPlace()
  for (const { path: file, kind } of before) {
    if (kind !== 'config' && !now.has(file)) transaction.remove(inDestdir(file))
  }
}

/** What has been installed must start without the source tree. @param {string} swtpm @param {Options} options */
async function tryOut(swtpm, { node }) {
  // Being prepared elsewhere, it may name a Node that is not here.
  if (!succeeds(node, ['--version'])) return
  try {
    capture(swtpm, ['socket', '--tpm2', '--print-capabilities'], { cwd: '/' })
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    throw new UserError(`What was installed does not work: "${swtpm} socket --print-capabilities" fails`, {
      hint: 'See whether `bin/swtpm socket --print-capabilities` works in the source tree; run `npm run setup` if not',
      output: error.output,
    })
  }
}

/** @param {Options} options */
function checkNode({ node, destdir }) {
  if (!path.isAbsolute(node)) {
    throw new UserError(`--node=${node} is no absolute path`, {
      hint: 'Give the whole path, like /usr/bin/node',
    })
  }
  // The kernel does not take more of the first line of a script, or blanks in it.
  if (/\s/.test(node) || node.length > 250) {
    throw new UserError(`"${node}" cannot stand in the first line of a script`, {
      hint: 'Give a path without blanks with --node, for instance of a link to it',
    })
  }
  if (destdir !== '') return
  try {
    accessSync(node, constants.X_OK)
  } catch (cause) {
    throw new UserError(`Cannot run "${node}": ${/** @type {Error} */ (cause).message}`, {
      hint: 'Name another Node with --node',
      cause,
    })
  }
  for (let folder = path.dirname(node); folder !== '/'; folder = path.dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) {
      note(
        `Other users cannot run ${node}, because of ${folder}: the programs will work for you alone. ` +
          'Install Node for the whole system and name it with --node to change that',
      )
      return
    }
  }
}

/** @param {import('./layout.mjs').Layout} places @param {Options} options */
function afterwards(places, { destdir }) {
  if (destdir !== '') {
    note(`To be run on the system that this is for: ${laterCommands(places).join('; ')}`)
    return
  }
  tellInstalled(places)
  for (const fault of [libvirtObstacle(places), rivalProfile(places)]) if (fault !== undefined) note(fault)
  say(
    'A TPM at every start: systemctl enable --now swtpm-vtpm-proxy@NAME.service, or swtpm-cuse@vtpm0.service',
  )
}

/** @param {unknown} error @param {string[]} faults @returns {unknown} */
function explained(error, faults) {
  const { code, path: file, dest, message } = /** @type {NodeJS.ErrnoException & { dest?: string }} */ (error)
  const left = faults.length > 0 ? `; not taken back: ${faults.join(', ')}` : '; nothing has been changed'
  if (error instanceof UserError) {
    return new UserError(`${error.message}${left}`, { hint: error.hint, output: error.output, cause: error })
  }
  if (code === undefined) return error
  const hints = {
    EACCES: 'Run it as root, or install elsewhere with --prefix and --without-services',
    EPERM: 'Run it as root, or install elsewhere with --prefix and --without-services',
    EROFS: 'Choose a --prefix that can be written to',
    ENOSPC: 'Make room, or choose another --prefix',
  }
  return new UserError(`Cannot write "${dest ?? file}": ${message}${left}`, {
    hint: hints[/** @type {keyof typeof hints} */ (code)],
    cause: error,
  })
}
