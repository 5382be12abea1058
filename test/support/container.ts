/** Containers without images: the machine's own programs, read-only, and nothing of its devices. */
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Service } from './service.ts'
import type { Cleanup } from './swtpm.ts'
import { temporaryDirectory } from './swtpm.ts'
import { tool } from './tools.ts'

/** What stands in a CDI file under "containerEdits". */
export interface ContainerEdits {
  readonly env?: readonly string[]
  readonly deviceNodes?: readonly { path: string; hostPath: string; permissions: string }[]
  readonly hooks?: readonly { hookName: string; path: string; args: readonly string[] }[]
}

const SYSTEM = ['/usr', '/etc']
const MERGED = ['bin', 'lib', 'lib64', 'sbin']

/** A root directory with a mount point for each part of the system. */
export function makeRoot(t: Cleanup): string {
  const root = temporaryDirectory(t)
  for (const directory of [...SYSTEM, '/dev', '/proc', '/sys', '/tmp', '/run', '/var'])
    mkdirSync(join(root, directory))
  return root
}

/** The numbers of a device as stat(2) packs them. */
const numbers = (rdev: number): { major: number; minor: number } => ({
  major: (rdev >> 8) & 0xfff,
  minor: (rdev & 0xff) | ((rdev >> 12) & 0xfff00),
})

/** A container of runc with these edits; runs until it is killed. */
export class RuncContainer {
  readonly #name: string
  readonly service: Service

  private constructor(name: string, service: Service) {
    this.#name = name
    this.service = service
  }

  static async start(t: Cleanup, name: string, edits: ContainerEdits): Promise<RuncContainer> {
    const bundle = temporaryDirectory(t)
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(runcConfig(makeRoot(t), edits)))
    const service = new Service(t, 'runc', ['run', '--bundle', bundle, name])
    const container = new RuncContainer(name, service)
    await service.until(() => service.output.includes('up'), 'the container is up')
    return container
  }

  /** A shell command inside. @returns what it prints */
  run(script: string): Promise<string> {
    return tool('runc', ['exec', this.#name, 'sh', '-ec', script])
  }

  async kill(): Promise<void> {
    await tool('runc', ['kill', this.#name, 'KILL'])
    await this.service.exited
  }
}

function runcConfig(root: string, { env = [], deviceNodes = [], hooks = [] }: ContainerEdits): object {
  const mount = (destination: string, type: string, source: string, options: string[] = []) => ({
    destination,
    type,
    source,
    options,
  })
  const devices = deviceNodes.map(({ path, hostPath, permissions }) => ({
    path,
    access: permissions,
    ...numbers(statSync(hostPath).rdev),
  }))
  const capabilities = ['CAP_MKNOD', 'CAP_DAC_OVERRIDE', 'CAP_CHOWN']
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: ['sh', '-c', 'echo up; exec sleep infinity'],
      env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', ...env],
      cwd: '/',
      // mknod is allowed, so that what keeps a container from others' TPMs is not that it cannot make their nodes.
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      noNewPrivileges: true,
    },
    root: { path: root },
    mounts: [
      mount('/proc', 'proc', 'proc'),
      mount('/dev', 'tmpfs', 'tmpfs', ['nosuid', 'mode=755']),
      mount('/tmp', 'tmpfs', 'tmpfs', ['mode=1777']),
      ...SYSTEM.map((directory) => mount(directory, 'none', directory, ['rbind', 'ro'])),
      ...MERGED.map((name) => mount(`/${name}`, 'none', `/usr/${name}`, ['rbind', 'ro'])),
    ],
    hooks: {
      poststop: hooks
        .filter(({ hookName }) => hookName === 'poststop')
        .map(({ path, args }) => ({ path, args })),
    },
    linux: {
      namespaces: ['pid', 'mount', 'ipc', 'uts', 'network'].map((type) => ({ type })),
      devices: devices.map(({ path, major, minor }) => ({ path, type: 'c', major, minor })),
      resources: {
        devices: [
          { allow: false, access: 'rwm' },
          ...devices.map(({ major, minor, access }) => ({ allow: true, type: 'c', major, minor, access })),
        ],
      },
    },
  }
}
