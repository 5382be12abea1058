/** A machine with Debian's libvirt, as far as libvirt can see: a libvirtd with files and processes of its own. */
import { randomUUID } from 'node:crypto'
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { LayeredRoot, withoutLayers } from '../layered-root.ts'
import { withoutQemu } from '../qemu-image.ts'
import { type Cleanup, projectRoot, temporaryDirectory } from '../swtpm.ts'
import { waitFor } from '../wait.ts'

interface UnpackedScript {
  ensureUnpacked(set: string): Promise<string>
  unpackedAtHand(set: string): Promise<string | undefined>
}

/** A program of its own, not part of what is bundled. */
const unpacked = (): Promise<UnpackedScript> =>
  import(pathToFileURL(join(projectRoot, 'scripts/setup/unpacked.mjs')).href)

/** What is missing on this machine for a libvirtd; false if nothing is. */
export async function withoutLibvirt(): Promise<string | false> {
  if (withoutLayers || withoutQemu) return withoutLayers || withoutQemu
  const { unpackedAtHand } = await unpacked()
  const atHand = (await unpackedAtHand('libvirt')) !== undefined
  return atHand ? false : "Debian's libvirt has not been unpacked: npm run setup -- test"
}

/** Of this machine, if it has libvirt itself: its virtual machines must not be seen, let alone started. */
const FORGET = 'rm -rf /etc/libvirt /run/libvirt /var/cache/libvirt /var/lib/libvirt /var/lib/swtpm-localca'
const USERS = `
grep -q ^libvirt-qemu: /etc/passwd || echo libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin >>/etc/passwd
grep -q ^libvirt-qemu: /etc/group || echo libvirt-qemu:x:64055: >>/etc/group
`
/** What the installer says is to be done on the system that it has installed for; and Debian's swtpm brings with it. */
const AS_INSTALLED = `
if [ -e /usr/lib/tmpfiles.d/swtpm.conf ]; then
  systemd-sysusers /usr/lib/sysusers.d/swtpm.conf
  systemd-tmpfiles --create /usr/lib/tmpfiles.d/swtpm.conf
else
  install -d -o tss -g root -m 750 /var/lib/swtpm-localca
fi
`

const ATTEMPTS = 10

const lastLines = (text: string): string => text.split('\n').slice(-12).join('\n')

export interface HostOptions {
  /** What lies over libvirt's files and this machine's, such as an installation. */
  readonly layers?: readonly string[]
  /** Lines for /etc/libvirt/qemu.conf. */
  readonly qemuConf?: readonly string[]
  /** Lines for a shell, run before libvirtd starts. */
  readonly prepare?: string
  /** Another host that has asked QEMU what it can do, which takes seconds. */
  readonly like?: LibvirtHost
}

export class LibvirtHost {
  readonly root: LayeredRoot
  /** Seen at the same path by all hosts and by this process. */
  readonly shared: string

  private constructor(root: LayeredRoot, shared: string) {
    this.root = root
    this.shared = shared
  }

  static async start(t: Cleanup, name: string, options: HostOptions = {}): Promise<LibvirtHost> {
    const { ensureUnpacked } = await unpacked()
    const layers = [...(options.layers ?? []), await ensureUnpacked('libvirt')]
    const shared = temporaryDirectory(t)
    chmodSync(shared, 0o755)
    const root = await LayeredRoot.start(t, name, layers)
    const host = new LibvirtHost(root, shared)
    await root.run(
      'sh',
      '-c',
      ['set -e', FORGET, 'mkdir -p /etc/libvirt /var/cache/libvirt', USERS, AS_INSTALLED].join('\n'),
    )
    host.#configure(options)
    if (options.like !== undefined) {
      cpSync(options.like.root.path('/var/cache/libvirt'), root.path('/var/cache/libvirt'), {
        recursive: true,
        preserveTimestamps: true,
      })
    }
    if (options.prepare !== undefined) await root.run('sh', '-c', options.prepare)
    await host.startDaemon()
    return host
  }

  /** Starts libvirtd, and waits until it answers. */
  async startDaemon(): Promise<void> {
    rmSync(this.socket, { force: true })
    const daemon = this.root.start('libvirtd')
    await waitFor(
      () => {
        if (daemon.exitCode !== null) throw new Error(`libvirtd has ended:\n${this.log}`)
        return existsSync(this.socket)
      },
      { what: 'libvirtd' },
    )
  }

  /** Where libvirtd listens. */
  get socket(): string {
    return join(this.shared, 'libvirt-sock')
  }

  get uri(): string {
    return `qemu+unix:///system?socket=${this.socket}`
  }

  /** Warnings and errors of libvirtd. */
  get log(): string {
    return readFileSync(join(this.shared, 'libvirtd.log'), 'utf8')
  }

  /**
   * libvirt gives swtpm one second to appear, which a busy machine may not have: then it is told again.
   * @returns what it printed
   * @throws with the reason of libvirtd and what swtpm has logged, when it fails
   */
  async virsh(...args: string[]): Promise<string> {
    for (let left = ATTEMPTS; ; left--) {
      try {
        return await this.root.run('virsh', '--quiet', '--connect', this.uri, ...args)
      } catch (error) {
        const { message } = error as Error
        if (left > 1 && message.includes('swtpm socket did not show up')) continue
        throw new Error([message, lastLines(this.log), lastLines(this.#swtpmLogs())].join('\n'), {
          cause: error,
        })
      }
    }
  }

  /** Gives a secret that state can be encrypted with its value. @returns its UUID */
  async defineSecret(value: string, uuid: string = randomUUID()): Promise<string> {
    const file = join(this.shared, 'secret.xml')
    writeFileSync(file, `<secret ephemeral="no" private="yes"><uuid>${uuid}</uuid></secret>`)
    await this.virsh('secret-define', file)
    await this.setSecret(uuid, value)
    return uuid
  }

  async setSecret(uuid: string, value: string): Promise<void> {
    const base64 = Buffer.from(value).toString('base64')
    await this.virsh('secret-set-value', uuid, '--base64', base64)
  }

  async define(name: string, xml: string): Promise<void> {
    const file = join(this.shared, `${name}.xml`)
    writeFileSync(file, xml)
    await this.virsh('define', file)
  }

  /** @returns a file of it, as text */
  read(file: string): string {
    return readFileSync(this.root.path(file), 'utf8')
  }

  #swtpmLogs(): string {
    const directory = this.root.path('/var/log/swtpm/libvirt/qemu')
    if (!existsSync(directory)) return ''
    return readdirSync(directory)
      .map((name) => `${name}: ${readFileSync(join(directory, name), 'utf8')}`)
      .join('\n')
  }

  #configure({ qemuConf = [] }: HostOptions): void {
    const write = (name: string, lines: readonly string[]): void =>
      writeFileSync(this.root.path(`/etc/libvirt/${name}`), lines.map((line) => `${line}\n`).join(''))
    write('libvirtd.conf', [
      `unix_sock_dir = "${this.shared}"`,
      // Another host than its neighbours.
      `host_uuid = "${randomUUID()}"`,
      `log_outputs = "3:file:${join(this.shared, 'libvirtd.log')}"`,
      'auth_unix_rw = "none"',
      'auth_unix_ro = "none"',
    ])
    // Without virtlogd, and without this machine's control groups.
    write('qemu.conf', ['stdio_handler = "file"', 'cgroup_controllers = [ ]', ...qemuConf])
  }
}
