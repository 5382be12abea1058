#!/usr/bin/env node
// Builds a machine in which a vTPM is a service: a kernel, an initial file system, a command line, under the names that
// LinuxKit gives its "kernel+initrd" output. Without Docker: programs come from this machine, with their libraries.

import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { UserError } from '../../scripts/lib/command.mjs'
import { projectRoot } from '../../scripts/lib/paths.mjs'
import { runMain } from '../../scripts/lib/terminal.mjs'
import { ensureKernel } from '../../scripts/vm/kernel.mjs'
import { machineRoom } from '../../scripts/vm/load.mjs'
import { servicesFor } from './services.mjs'

const USAGE = 'Usage: node packaging/linuxkit/build.mjs --tpm 1.2|2.0 [--kernel 6.1|6.12] DIRECTORY'
const APPLETS = ['cat', 'grep', 'insmod', 'ip', 'mkdir', 'mount', 'reboot', 'sh', 'sleep', 'stty']
const HERE = path.join(projectRoot, 'packaging/linuxkit')
const { collectModules, cpio, directory, file, symlink } = await machineRoom()

runMain(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { tpm: { type: 'string' }, kernel: { type: 'string', default: '6.1' } },
  })
  const [target] = positionals
  const version = values.tpm
  if (!target || (version !== '1.2' && version !== '2.0'))
    throw new UserError('What, and where to?', { hint: USAGE })

  const kernel = await ensureKernel(values.kernel)
  const tree = new Tree()
  for (const name of ['dev', 'proc', 'sys', 'run', 'tmp', 'root']) tree.directory(name)
  tree.program('/bin/busybox', 'bin/busybox')
  for (const applet of APPLETS) tree.symlink(`bin/${applet}`, 'busybox')
  tree.program('/usr/sbin/runc', 'usr/bin/runc')
  tree.write('init', readFileSync(path.join(HERE, 'init.sh')), 0o755)
  const modules = collectModules(kernel.modules, { required: ['tpm_vtpm_proxy'] })
  tree.write('modules/order', modules.map(({ name }) => `${name}\n`).join(''))
  for (const { name, data } of modules) tree.write(`modules/${name}.ko`, data)
  for (const [index, service] of servicesFor(version).entries()) {
    addService(tree, `containers/services/${String(index).padStart(3, '0')}-${service.name}`, service)
  }

  mkdirSync(target, { recursive: true })
  copyFileSync(kernel.image, path.join(target, 'swtpm-kernel'))
  writeFileSync(path.join(target, 'swtpm-initrd.img'), cpio(tree.entries()))
  writeFileSync(path.join(target, 'swtpm-cmdline'), 'console=ttyS0 quiet panic=-1\n')
  return 0
})

/** A file system in the making. */
class Tree {
  /** @type {Map<string, import('../../src/machine/cpio.ts').Entry>} */
  #entries = new Map()

  /** @param {string} name */
  directory(name) {
    if (name === '.' || name === '/' || this.#entries.has(name)) return
    this.directory(path.dirname(name))
    this.#entries.set(name, directory(name))
  }

  /** @param {string} name @param {Buffer | string} data @param {number} [mode] */
  write(name, data, mode) {
    this.directory(path.dirname(name))
    this.#entries.set(name, file(name, data, mode))
  }

  /** @param {string} name @param {string} target */
  symlink(name, target) {
    this.directory(path.dirname(name))
    this.#entries.set(name, symlink(name, target))
  }

  /** A file of this machine. @param {string} source @param {string} name */
  copy(source, name) {
    this.write(name, readFileSync(source), statSync(source).mode & 0o777)
  }

  /** A program or library of this machine, and the libraries it is linked with. @param {string} source @param {string} name */
  program(source, name, root = '') {
    if (!existsSync(source)) throw new UserError(`"${source}" is missing`, { hint: 'Run `npm run setup`' })
    this.copy(realpathSync(source), name)
    for (const library of librariesOf(source))
      this.copy(realpathSync(library), path.join(root, library).replace(/^\//, ''))
  }

  entries() {
    return [...this.#entries.values()]
  }
}

/** @param {string} program @returns {string[]} none for a program that is linked statically */
function librariesOf(program) {
  try {
    const list = execFileSync('ldd', [program], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    return [...list.matchAll(/(\/\S+) \(0x/g)].map(([, library]) => library)
  } catch {
    return []
  }
}

/** An OCI bundle. @param {Tree} tree @param {string} bundle @param {import('./services.mjs').Service} service */
function addService(tree, bundle, service) {
  const root = `${bundle}/rootfs`
  const { programs, libraries = [], files = {}, directories = [], ready } = service
  for (const name of ['dev', 'proc', 'sys', ...directories]) tree.directory(`${root}/${name}`)
  for (const program of [...programs, ...libraries]) tree.program(program, path.join(root, program), root)
  for (const [name, text] of Object.entries(files)) tree.write(`${root}/${name}`, text)
  if (service.swtpm) addSwtpm(tree, root)
  tree.write(`${bundle}/ready`, ready)
  tree.write(`${bundle}/config.json`, JSON.stringify(configuration(service), undefined, 2))
}

/** @param {Tree} tree @param {string} root */
function addSwtpm(tree, root) {
  const built = ['native/build/Release/tpm-engine', 'native/build/Release/swtpm_native.node']
  const packages = ['ioctl', 'bindings', 'file-uri-to-path'].map((name) => `node_modules/${name}`)
  const ioctl = packages.flatMap((name) =>
    readdirSync(path.join(projectRoot, name))
      .filter((entry) => /\.(js|json)$/.test(entry))
      .map((entry) => `${name}/${entry}`),
  )
  const later = readdirSync(path.join(projectRoot, 'dist')).filter((name) =>
    /^swtpm\.later\..*\.js$/.test(name),
  )
  const own = ['package.json', ...['swtpm.js', 'swtpm.main.js', ...later].map((name) => `dist/${name}`)]
  for (const name of [...own, ...ioctl, ...built, 'node_modules/ioctl/build/Release/ioctl.node']) {
    tree.program(path.join(projectRoot, name), `${root}/usr/lib/swtpm/${name}`, root)
  }
  // As `npm run install:system` has it.
  tree.program(path.join(projectRoot, 'native/build/Release/swtpm'), `${root}/usr/bin/swtpm`, root)
  tree.symlink(`${root}/usr/lib/swtpm/node`, process.execPath)
}

/** @param {import('./services.mjs').Service} service */
function configuration({ command, env = [], capabilities, devices }) {
  const mount = (/** @type {string} */ destination, type = 'none', /** @type {string[]} */ ...options) => ({
    destination,
    type,
    source: type === 'none' ? destination : type,
    options,
  })
  const dev = devices ? mount('/dev', 'none', 'rbind') : mount('/dev', 'tmpfs', 'nosuid', 'mode=755')
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: command,
      env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', ...env],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      noNewPrivileges: true,
    },
    root: { path: 'rootfs' },
    mounts: [mount('/proc', 'proc'), dev, mount('/sys', 'none', 'rbind', 'ro')],
    linux: {
      // The network is the machine's: other services reach tcsd on its port.
      namespaces: ['pid', 'mount', 'ipc', 'uts'].map((type) => ({ type })),
      resources: { devices: [{ allow: devices, access: 'rwm' }] },
    },
  }
}
