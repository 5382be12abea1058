// Debian packages: what is installed, and how to install what is not.

import { spawnSync } from 'node:child_process'
import { run, succeeds, UserError } from '../lib/command.mjs'
import { note } from '../lib/terminal.mjs'

/**
 * Brings apt's package lists up to date.
 *
 * @param {string} reason shown to the user: this takes a few seconds and changes the machine
 */
export async function updatePackageLists(reason) {
  note(`apt-get update, ${reason}`)
  await asRoot('apt-get', ['update', '-q'], {
    hint: 'Is this machine online, and /etc/apt/sources.list right?',
  })
}

/**
 * @param {string[]} names
 * @param {(line: string) => void} onLine
 */
export async function installPackages(names, onLine) {
  if (!succeeds('apt-get', ['install', '--simulate', ...names])) {
    await updatePackageLists('because the package lists are missing or old')
  }
  const install = () =>
    asRoot('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...names], {
      onLine,
      hint: `Install these by hand and try again: ${names.join(' ')}`,
    })
  try {
    await install()
  } catch {
    // The usual reason is a list that names versions the archive has replaced since.
    await updatePackageLists('because the installation failed')
    await install()
  }
}

/**
 * Fetches packages without installing them.
 *
 * @param {string[]} names NAME or NAME=VERSION
 * @param {string} cwd where the files go
 */
export async function downloadPackages(names, cwd) {
  // apt drops to a user of its own that cannot write into a home directory; here there is no need to.
  const args = ['-o', 'APT::Sandbox::User=root', 'download', ...names]
  const hint = 'Is this machine online? `apt-get update` refreshes package lists that have grown old'
  try {
    await run('apt-get', args, { cwd })
  } catch {
    // The usual reason is a list that names a build the archive has replaced since.
    await updatePackageLists(`because ${names.join(', ')} could not be downloaded`)
    await run('apt-get', args, { cwd, hint })
  }
}

/** @param {string[]} names @returns {string[]} those that are not installed */
export function missingPackages(names) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own notation
  const query = ['-W', '-f', '${db:Status-Status}\t${Package}\t${Provides}\n']
  const result = spawnSync('dpkg-query', query, { encoding: 'utf8' })
  if (result.error) {
    throw new UserError('Cannot ask which packages are installed: there is no dpkg-query', {
      hint: `The set-up knows Debian and its derivatives. Elsewhere, install what these packages hold: ${names.join(' ')}`,
    })
  }
  const installed = installedNames(result.stdout)
  return names.filter((name) => !installed.has(name))
}

/**
 * @param {string} listed lines of "STATUS\tPACKAGE\tPROVIDES", as dpkg-query prints them
 * @returns {Set<string>} the installed packages, and the names that they provide: a library may have got a new name, and
 *   provides the old one
 */
export function installedNames(listed) {
  const rows = listed.split('\n').map((line) => line.split('\t'))
  return new Set(
    rows
      .filter(([status]) => status === 'installed')
      .flatMap(([, name = '', provides = '']) => [name, ...provides.split(', ')])
      .map((name) => name.replace(/ .*/, '')),
  )
}

/** @param {string} program @param {string[]} args @param {Parameters<typeof run>[2]} options */
function asRoot(program, args, options) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  if (process.getuid?.() === 0) return run(program, args, { ...options, env })
  if (!succeeds('sh', ['-c', 'command -v sudo'])) {
    throw new UserError(
      `Cannot run "${program} ${args.join(' ')}": it needs root, and sudo is not installed`,
      {
        hint: 'Run that command as root, then try again',
      },
    )
  }
  // sudo may want to ask for a password: leave it the terminal.
  const sudo = ['DEBIAN_FRONTEND=noninteractive', program, ...args]
  return run('sudo', sudo, { ...options, stdio: ['inherit', 'pipe', 'inherit'] })
}
