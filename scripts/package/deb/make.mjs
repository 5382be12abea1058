// The package: the files of an installation in /usr, with what Debian wants besides.

import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { entriesFor } from '../../install/entries.mjs'
import { layout } from '../../install/layout.mjs'
import { capture, run } from '../../lib/command.mjs'
import { projectRoot } from '../../lib/paths.mjs'
import { changelog, control, copyright, identity, NAME } from './texts.mjs'

/** Debian's own, and where one that is bundled goes: the keeper takes that before any. */
const NODE = '/usr/bin/node'
const SCRIPTS = ['postinst', 'prerm', 'postrm']
const TEMPLATES = path.join(projectRoot, 'packaging/debian')

/**
 * @param {{ out: string, bundledNode?: string | undefined }} options
 * @returns {Promise<string>} the package's file
 */
export async function makePackage({ out, bundledNode }) {
  const stage = mkdtempSync(path.join(tmpdir(), 'swtpm-deb-'))
  try {
    // Debian's own folders, whatever the machine has on which the package is made.
    const places = { ...layout('/usr'), zsh: '/usr/share/zsh/vendor-completions' }
    const ownNode = path.join(places.lib, 'node')
    const node = bundledNode === undefined ? NODE : ownNode
    const entries = await entriesFor(places, {
      node,
      recordedBy: realpathSync(bundledNode ?? process.execPath),
      services: true,
    })
    // The compiled part of ioctl fits one version of Node, and the addon does the same (src/system/io/ioctl.ts).
    const unwanted = [path.join(places.lib, 'node_modules/'), path.join(places.lib, 'LICENSE')]
    const wanted = entries.filter(({ path: file }) => !unwanted.some((each) => file.startsWith(each)))
    for (const entry of wanted) place(stage, entry)
    if (bundledNode !== undefined) {
      rmSync(path.join(stage, ownNode))
      copyFileSync(bundledNode, path.join(stage, ownNode))
    }
    documents(stage)
    const compiled = wanted
      .filter((entry) => entry.kind === 'file' && isElf(entry.contents))
      .map(({ path: file }) => path.join(stage, file))
    await strip(compiled, path.join(stage, ownNode), bundledNode !== undefined)
    const conffiles = wanted.map(({ path: file }) => file).filter((file) => file.startsWith('/etc/'))
    await describe(stage, compiled, { conffiles, bundled: bundledNode !== undefined })
    mkdirSync(out, { recursive: true })
    const { version, architecture } = identity()
    const made = path.join(out, `${NAME}_${version}_${architecture}.deb`)
    await run('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', stage, made])
    return made
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
}

/** @param {string} stage @param {import('../../install/entries.mjs').Entry} entry */
function place(stage, entry) {
  const isPage = entry.path.startsWith('/usr/share/man/')
  const target = path.join(stage, isPage ? `${entry.path}.gz` : entry.path)
  makeFolder(path.dirname(target))
  if (entry.kind === 'link') symlinkSync(path.relative(path.dirname(entry.path), entry.contents), target)
  else write(target, isPage ? zipped(entry.contents) : entry.contents, modeOf(entry))
}

/** Debian's libraries are no programs. @param {Extract<import('../../install/entries.mjs').Entry, { kind: 'file' | 'config' }>} entry */
const modeOf = (entry) => (entry.kind === 'file' && !entry.path.endsWith('.node') ? entry.mode : 0o644)

/** @param {string} stage */
function documents(stage) {
  const folder = path.join(stage, 'usr/share/doc', NAME)
  const overrides = path.join(stage, 'usr/share/lintian/overrides')
  for (const each of [folder, overrides]) makeFolder(each)
  write(path.join(folder, 'copyright'), copyright())
  write(path.join(folder, 'changelog.gz'), zipped(readFileSync(path.join(projectRoot, 'CHANGELOG.md'))))
  write(path.join(folder, 'changelog.Debian.gz'), zipped(changelog()))
  write(
    path.join(folder, 'README.md.gz'),
    zipped(readFileSync(path.join(projectRoot, 'packaging/README.md'))),
  )
  copyFileSync(path.join(TEMPLATES, 'lintian-overrides'), path.join(overrides, NAME))
}

/** @param {string[]} files @param {string} node @param {boolean} bundled */
async function strip(files, node, bundled) {
  await run('strip', ['--strip-unneeded', '--remove-section=.comment', '--remove-section=.note', ...files])
  if (bundled) {
    chmodSync(node, 0o755)
    await run('strip', ['--strip-unneeded', node])
  }
}

/**
 * What dpkg reads.
 *
 * @param {string} stage @param {string[]} compiled
 * @param {{ conffiles: string[], bundled: boolean }} what
 */
async function describe(stage, compiled, { conffiles, bundled }) {
  const files = readdirSync(stage, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
    .sort()
  const sums = files
    .map((file) => path.relative(stage, file))
    .filter((file) => !conffiles.includes(`/${file}`))
    .map(
      (file) =>
        `${createHash('md5')
          .update(readFileSync(path.join(stage, file)))
          .digest('hex')}  ${file}\n`,
    )
  const sizes = capture('du', ['--apparent-size', '-sk', stage])
  const folder = path.join(stage, 'DEBIAN')
  makeFolder(folder)
  const depends = [...(bundled ? [] : ['nodejs (>= 20)']), libraries(stage, compiled, bundled), 'adduser']
  write(
    path.join(folder, 'control'),
    await control({ size: Number.parseInt(sizes, 10), depends: depends.join(', ') }),
  )
  write(path.join(folder, 'conffiles'), `${conffiles.join('\n')}\n`)
  write(path.join(folder, 'md5sums'), sums.join(''))
  for (const name of SCRIPTS) write(path.join(folder, name), readFileSync(path.join(TEMPLATES, name)), 0o755)
}

/** @param {string} stage @param {string[]} compiled @param {boolean} bundled @returns {string} the packages of the libraries, with versions */
function libraries(stage, compiled, bundled) {
  const work = mkdtempSync(path.join(tmpdir(), 'swtpm-shlibdeps-'))
  try {
    makeFolder(path.join(work, 'debian'))
    write(path.join(work, 'debian/control'), `Source: ${NAME}\n\nPackage: ${NAME}\nArchitecture: any\n`)
    const node = bundled ? [path.join(stage, 'usr/lib/swtpm/node')] : []
    // The keeper has its own copy of the C library, and needs none; --warnings=0: of that it would tell.
    const printed = capture(
      'dpkg-shlibdeps',
      ['-O', '--warnings=0', '--ignore-missing-info', ...[...compiled, ...node].map((file) => `-e${file}`)],
      {
        cwd: work,
      },
    )
    return /^shlibs:Depends=(.*)$/m.exec(printed)?.[1] ?? ''
  } finally {
    rmSync(work, { recursive: true })
  }
}

/** @param {Buffer} contents */
const isElf = (contents) => contents.subarray(0, 4).equals(Buffer.from('\x7fELF', 'latin1'))

/** @param {Buffer | string} contents @returns {Buffer} without name and time, so that the same is made of the same */
const zipped = (contents) => gzipSync(contents, { level: 9 })

/** As others may look into it, whatever the umask. @param {string} folder */
function makeFolder(folder) {
  const first = mkdirSync(folder, { recursive: true })
  for (let each = folder; first !== undefined && each.length >= first.length; each = path.dirname(each))
    chmodSync(each, 0o755)
}

/** @param {string} file @param {Buffer | string} contents @param {number} [mode] */
function write(file, contents, mode = 0o644) {
  writeFileSync(file, contents)
  chmodSync(file, mode)
}
