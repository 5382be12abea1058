// A visit to a distribution: commands in a new clone of the project, in a throw-away copy of the distribution's root.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { capture, UserError } from '../lib/command.mjs'
import { distroCacheDir, projectRoot } from '../lib/paths.mjs'
import { lineSplitter } from '../test/records.mjs'
import { inNamespaces } from './namespaces.mjs'
import { makeScratch } from './scratch.mjs'

const PREPARE = fileURLToPath(new URL('prepare.sh', import.meta.url))
/** Where the clone is inside: every user can start its programs. */
const CLONE = '/srv/swtpm'
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** Compilers by their usual names, which keep what they have compiled; the same sources are not compiled twice. */
const KEEPING_COMPILERS = '/usr/lib/ccache'
/** How long what a command printed may take to arrive after its end. */
const DRAIN_MS = 5_000
/** Variables that say how to reach the network. */
const PROXIES = ['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY']

let visits = 0

export class Visit {
  /**
   * @param {import('node:child_process').ChildProcess} keeper it holds the namespaces
   * @param {string} inside the root, as the keeper sees it
   * @param {NodeJS.ProcessEnv} env
   * @param {() => void} cleanUp
   */
  constructor(keeper, inside, env, cleanUp) {
    this.keeper = keeper
    this.inside = inside
    this.env = env
    this.cleanUp = cleanUp
  }

  /**
   * @param {string} root from ensureRoot()
   * @returns {Promise<Visit>} which has to be ended
   * @throws {UserError} when the root cannot be entered
   */
  static async begin(root) {
    const scratch = makeScratch(`visit${++visits}`)
    const cleanUp = () => {
      process.off('exit', cleanUp)
      rmSync(scratch, { recursive: true, force: true })
    }
    process.on('exit', cleanUp)
    const [files, space] = [path.join(scratch, 'files'), path.join(scratch, 'space')]
    writeFileSync(files, filesOfProject().join('\0'))
    mkdirSync(space)
    const npm = npmSettings()
    const [program, ...args] = inNamespaces(['sh', PREPARE, root, space, CLONE])
    const keeper = spawn(program, args, {
      env: {
        ...{ PATH, TREE: projectRoot, FILES: files },
        ...{ NPM_CACHE: npm.cache, COMPILED: path.join(distroCacheDir, 'compiled'), CA_FILE: npm.cafile },
      },
    })
    let complaint = ''
    keeper.stderr.on('data', (chunk) => {
      complaint += chunk
    })
    const ready = await Promise.race([
      once(createInterface(keeper.stdout), 'line').then(() => true),
      once(keeper, 'close').then(() => false),
    ])
    if (ready) return new Visit(keeper, path.join(space, 'root'), environment(npm), cleanUp)
    cleanUp()
    throw new UserError(`Cannot enter the root "${root}"`, { output: complaint })
  }

  /**
   * @param {string} line for a shell, in the project's folder
   * @param {object} [options]
   * @param {boolean} [options.online] it may reach the network
   * @param {boolean} [options.interactive] connect it to this terminal
   * @param {number} [options.timeoutMs]
   * @param {(line: string) => void} [options.onLine]
   * @returns {Promise<{ status: number | string, output: string }>} exit status or the signal, and what it printed
   */
  async run(line, { online = false, interactive = false, timeoutMs, onLine = () => {} } = {}) {
    const network = online ? [] : ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh']
    const command = ['chroot', this.inside, 'sh', '-c', `cd ${CLONE} && ${line}`]
    const args = ['--target', String(this.#firstProcess()), '--mount', '--pid', '--', ...network, ...command]
    const child = spawn('nsenter', args, {
      env: this.env,
      stdio: interactive ? 'inherit' : ['ignore', 'pipe', 'pipe'],
      ...(timeoutMs ? { timeout: timeoutMs } : {}),
    })
    let output = ''
    const take = lineSplitter((printed) => {
      output += `${printed}\n`
      onLine(printed)
    })
    child.stdout?.on('data', take)
    child.stderr?.on('data', take)
    // Not only "close": what a command left running may hold its output open for ever.
    const closed = once(child, 'close')
    const [status, signal] = await once(child, 'exit')
    await Promise.race([closed, delay(DRAIN_MS, undefined, { ref: false })])
    return { status: signal ?? status, output }
  }

  /** Ends what still runs inside, and throws away what was written. */
  async end() {
    const closed = once(this.keeper, 'close')
    this.keeper.stdin?.end()
    await closed
    this.cleanUp()
  }

  /** The first process of the namespaces, by its number out here. */
  #firstProcess() {
    const { pid } = this.keeper
    return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'))
  }
}

/** @returns {string[]} what a commit of everything would hold, relative to the project */
function filesOfProject() {
  const listed = capture('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: projectRoot,
    hint: 'Only a clone of the repository knows which files belong to it',
  })
  // Node's packages may be a link to those of another checkout, which no pattern for folders ignores.
  const unwanted = (/** @type {string} */ file) => file === '' || file === 'node_modules'
  return listed.split('\0').filter((file) => !unwanted(file) && existsSync(path.join(projectRoot, file)))
}

/** How npm of this machine fetches packages, and where it keeps them. */
function npmSettings() {
  const [cache = '', registry = '', cafile = ''] = ['cache', 'registry', 'cafile'].map((name) =>
    capture('npm', ['config', 'get', name], { cwd: projectRoot }).trim(),
  )
  return { cache, registry, cafile: ['null', 'undefined'].includes(cafile) ? '' : cafile }
}

/** @param {ReturnType<typeof npmSettings>} npm @returns {NodeJS.ProcessEnv} */
function environment({ registry, cafile }) {
  const { TERM = 'dumb' } = process.env
  const proxies = PROXIES.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : []))
  return {
    ...Object.fromEntries(proxies),
    ...{ HOME: '/root', LANG: 'C.UTF-8', PATH: `${KEEPING_COMPILERS}:${PATH}`, TERM },
    ...{
      npm_config_registry: registry,
      npm_config_prefer_offline: 'true',
      npm_config_update_notifier: 'false',
    },
    ...(cafile ? { npm_config_cafile: '/etc/ssl/of-the-machine.crt' } : {}),
  }
}
