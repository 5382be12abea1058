// What is installed: every file with its contents, so that nothing is looked for after the first one has been written.

import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { isCodeCacheTaken, recordCodeCaches } from '../lib/code-cache.mjs'
import { UserError } from '../lib/command.mjs'
import { displayPath, projectRoot } from '../lib/paths.mjs'
import { renderDocuments } from '../man.mjs'

/**
 * @typedef {{ path: string } & (
 *   | { kind: 'file', contents: Buffer, mode: number }
 *   | { kind: 'link', contents: string }
 *   | { kind: 'config', contents: Buffer }
 * )} Entry `link`: its contents are where it points; `config`: the administrator's as soon as it is there
 */

/** Packages that are needed to compile others and not to run them. */
const BUILD_TIME = new Set(['nan', 'node-addon-api', 'napi-macros'])
/** What is for other systems and processors. */
const ELSEWHERE = /-(darwin|linux-arm)$/
/** The packages that the bundles do not contain, because they have native code: where it is. They may be missing. */
const NATIVE_PACKAGES = new Map([
  ['ioctl', 'build/Release/ioctl.node'],
  ['fuse-native', `prebuilds/linux-${process.arch}/node.napi.node`],
])
/** The program that is no script: it starts Node itself. */
const KEEPER = 'swtpm'
/** The name that the CUSE TPM has had of old: the keeper looks at its own. */
const CUSE = 'swtpm_cuse'
const COMPILED = 'native/build/Release'

const PROGRAM = 0o755
const DATA = 0o644

/**
 * @param {import('./layout.mjs').Layout} places
 * @param {{ node: string, recordedBy?: string, services: boolean }} options `node`: runs the programs;
 *   `recordedBy`: is here, and of the same version, where that one is not
 * @returns {Promise<Entry[]>}
 * @throws {UserError} when something has not been built
 */
export async function entriesFor(places, { node, recordedBy = node, services }) {
  return [
    ...programs(places, node),
    ...(await codeCaches(places, recordedBy)),
    ...nativeCode(places),
    ...packages(places),
    ...(await documents(places)),
    ...config(places),
    ...(services ? serviceFiles(places, node) : []),
  ]
}

/** @param {import('./layout.mjs').Layout} places @param {string} node @returns {Entry[]} */
function programs({ bin, lib }, node) {
  const names = readdirSync(path.join(projectRoot, 'bin')).filter((name) => name !== CUSE)
  // Not "env node": services and other users may have another PATH, and compiled packages fit the Node they were built for.
  // Relative, so that a tree may be moved.
  const script = (/** @type {string} */ name) =>
    Buffer.from(`#!${node}\nrequire('${path.relative(bin, path.join(lib, 'dist', `${name}.js`))}')\n`)
  const { version, license } = JSON.parse(String(built('package.json')))
  const keeper = built(`${COMPILED}/${KEEPER}`)
  return [
    file(
      path.join(lib, 'package.json'),
      Buffer.from(`${JSON.stringify({ name: 'swtpm', version, license })}\n`),
    ),
    file(path.join(lib, 'LICENSE'), built('LICENSE')),
    ...loadedLater().map((each) => file(path.join(lib, each), built(each))),
    // The keeper takes it before any in PATH.
    { kind: 'link', path: path.join(lib, 'node'), contents: node },
    ...names.flatMap((name) => [
      ...[`dist/${name}.js`, `dist/${name}.main.js`].map((each) => file(path.join(lib, each), built(each))),
      // Files and not links into `lib`: AppArmor goes by the resolved path, and libvirt's profiles allow /usr/bin/swtpm*.
      file(path.join(bin, name), name === KEEPER ? keeper : script(name), PROGRAM),
    ]),
    file(path.join(bin, CUSE), keeper, PROGRAM),
  ]
}

/** The parts of programs that not every start reads. @returns {string[]} */
function loadedLater() {
  const names = readdirSync(path.join(projectRoot, 'dist')).filter((name) =>
    /^swtpm\.later\..*\.js$/.test(name),
  )
  return ['yargs.js', 'import-module.js', ...names].map((name) => path.join('dist', name))
}

/**
 * For the Node that will run the programs. Those of dist/ are made anew where it is not the one that made them.
 *
 * @param {import('./layout.mjs').Layout} places @param {string} node @returns {Promise<Entry[]>}
 */
async function codeCaches({ lib }, node) {
  const names = readdirSync(path.join(projectRoot, 'dist')).filter((name) => name.endsWith('.cache'))
  const isThisNode = existsSync(node) && realpathSync(node) === realpathSync(process.execPath)
  if (isThisNode && names.every(isCodeCacheTaken))
    return names.map((name) => file(path.join(lib, 'dist', name), built(path.join('dist', name))))
  const work = mkdtempSync(path.join(tmpdir(), 'swtpm-install-'))
  try {
    await recordCodeCaches(
      node,
      names.map((name) => path.join(work, name)),
    )
    return readdirSync(work).map((name) =>
      file(path.join(lib, 'dist', name), readFileSync(path.join(work, name))),
    )
  } finally {
    rmSync(work, { recursive: true })
  }
}

/** @param {import('./layout.mjs').Layout} places @returns {Entry[]} where src/system/paths.ts looks for it */
function nativeCode({ lib }) {
  return [`${COMPILED}/tpm-engine`, `${COMPILED}/swtpm_native.node`].map((name) =>
    file(path.join(lib, name), built(name), PROGRAM),
  )
}

/** @param {string} name of a package with native code @returns {string} relative to the project */
const compiledIn = (name) => path.join('node_modules', name, String(NATIVE_PACKAGES.get(name)))

/** @param {import('./layout.mjs').Layout} places @returns {Entry[]} */
function packages({ lib }) {
  const names = [...NATIVE_PACKAGES.keys()].filter((name) =>
    existsSync(path.join(projectRoot, compiledIn(name))),
  )
  // Grows while it is gone through.
  for (const name of names) {
    const { dependencies = {} } = JSON.parse(String(built(`node_modules/${name}/package.json`)))
    const wanted = Object.keys(dependencies).filter((each) => !BUILD_TIME.has(each) && !ELSEWHERE.test(each))
    names.push(...wanted.filter((each) => !names.includes(each)))
  }
  return names.flatMap((name) => {
    const folder = path.join('node_modules', name)
    const own = readdirSync(path.join(projectRoot, folder)).filter((each) =>
      /^(package\.json|licen[cs]e.*|.*\.js)$/i.test(each),
    )
    const files = own.map((each) => path.join(folder, each))
    if (NATIVE_PACKAGES.has(name)) files.push(compiledIn(name))
    return files.map((relative) => {
      return file(path.join(lib, relative), built(relative), relative.endsWith('.node') ? PROGRAM : DATA)
    })
  })
}

/** @param {import('./layout.mjs').Layout} places @returns {Promise<Entry[]>} */
async function documents({ share, zsh }) {
  return [...(await renderDocuments())].map(([name, text]) => {
    const target = name.startsWith('zsh/') ? path.join(zsh, path.basename(name)) : path.join(share, name)
    return file(target, Buffer.from(text))
  })
}

/** @param {import('./layout.mjs').Layout} places @returns {Entry[]} */
function config(places) {
  return templates('packaging/config', places).map(([name, contents]) => ({
    kind: 'config',
    path: path.join(places.config, name),
    contents,
  }))
}

/** @param {import('./layout.mjs').Layout} places @param {string} node @returns {Entry[]} */
function serviceFiles(places, node) {
  return [
    ...appArmor(places, node),
    ...templates('packaging/systemd', places).map(([name, text]) =>
      file(path.join(places.units, name), text),
    ),
    file(path.join(places.udevRules, '70-swtpm.rules'), built('udev/70-swtpm.rules')),
    file(path.join(places.sysusers, 'swtpm.conf'), built('packaging/sysusers.d/swtpm.conf')),
    file(path.join(places.tmpfiles, 'swtpm.conf'), built('packaging/tmpfiles.d/swtpm.conf')),
    file(path.join(places.modulesLoad, 'swtpm.conf'), built('packaging/modules-load.d/swtpm.conf')),
  ]
}

/** @param {import('./layout.mjs').Layout} places @param {string} node @returns {Entry[]} */
function appArmor(places, node) {
  // AppArmor goes by the resolved path; in a system that is being prepared elsewhere, that is not known.
  const nodes = new Set([node, existsSync(node) ? realpathSync(node) : node])
  const values = {
    node: nodes.size === 1 ? node : `{${[...nodes].join()}}`,
    libdir: places.lib,
    profile: path.basename(places.appArmorProfile),
  }
  return [
    { source: 'swtpm.in', target: places.appArmorProfile },
    { source: 'libvirt-qemu.in', target: places.appArmorLibvirt },
  ].map(({ source, target }) => file(target, filled(`packaging/apparmor/${source}`, places, values)))
}

/**
 * @param {string} folder
 * @param {import('./layout.mjs').Layout} places what stands for `@bindir@` and `@sysconfdir@`
 * @returns {[name: string, contents: Buffer][]}
 */
function templates(folder, places) {
  return readdirSync(path.join(projectRoot, folder)).map((name) => [
    name.replace(/\.in$/, ''),
    filled(path.join(folder, name), places),
  ])
}

/**
 * @param {string} template
 * @param {import('./layout.mjs').Layout} places
 * @param {Record<string, string>} [more] further values, by name
 * @returns {Buffer}
 */
function filled(template, places, more = {}) {
  const values = { bindir: places.bin, sysconfdir: places.config, ...more }
  let text = String(built(template))
  for (const [name, value] of Object.entries(values)) text = text.replaceAll(`@${name}@`, value)
  return Buffer.from(text)
}

/** @param {string} target @param {Buffer} contents @param {number} [mode] @returns {Entry} */
const file = (target, contents, mode = DATA) => ({ kind: 'file', path: target, contents, mode })

/** @param {string} relative to the project @returns {Buffer} @throws {UserError} */
function built(relative) {
  const source = path.join(projectRoot, relative)
  if (!existsSync(source)) {
    throw new UserError(`Cannot install: ${displayPath(source)} is missing`, {
      hint: 'Run `npm run setup`, which builds everything, and try again',
    })
  }
  return readFileSync(source)
}
