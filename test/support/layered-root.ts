/**
 * Processes that see this machine's files with others laid over them, such as programs that are not installed on it. What they
 * write below /etc, /root, /run, /usr and /var stays in memory and is gone with them; so is every process of theirs.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Cleanup, temporaryDirectory } from './swtpm.ts'
import { tool } from './tools.ts'
import { waitFor } from './wait.ts'

/**
 * Namespaces of its own, then an overlay on each directory that is written to. They end with process 1, which reaps what daemons
 * leave. /root is last: layers may be below it, and in the virtual machine, whose root is an overlay, there can be no third on
 * top of two.
 */
const ENTER = `
set -e
hostname "$1"; memory=$2; layers=$3
echo "127.0.1.1 $1" >"$memory.hosts"
ip link set lo up
mount -t tmpfs -o mode=755 tmpfs "$memory"
for directory in etc run usr var root; do
  mkdir "$memory/$directory" "$memory/$directory.work"
  chmod --reference="/$directory" "$memory/$directory"
  lower=
  IFS=:
  for layer in $layers; do
    if [ -d "$layer/$directory" ]; then lower="$lower$layer/$directory:"; fi
  done
  unset IFS
  mount -t overlay -o "lowerdir=$lower/$directory,upperdir=$memory/$directory,workdir=$memory/$directory.work" overlay "/$directory"
done
cat "$memory.hosts" >>/etc/hosts
echo up
while :; do sleep 1000000 & wait $!; done
`

/** For the `skip` of a test: why there can be none here; false if there can. */
export const withoutLayers: string | false =
  process.getuid?.() !== 0
    ? 'needs root'
    : (BigInt(`0x${/^CapEff:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]}`) >> 21n) & 1n
      ? false
      : 'needs CAP_SYS_ADMIN, to mount'

export class LayeredRoot {
  readonly #outer: ChildProcess
  /** Its process 1, as this machine numbers it. */
  readonly pid: number

  private constructor(outer: ChildProcess, pid: number) {
    this.#outer = outer
    this.pid = pid
  }

  /** @param layers directories with usr, etc and so on; the first lies on top */
  static async start(t: Cleanup, name: string, layers: readonly string[]): Promise<LayeredRoot> {
    const memory = join(temporaryDirectory(t), 'memory')
    mkdirSync(memory)
    const outer = spawn(
      'unshare',
      [
        ...['--mount', '--uts', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'],
        ...['sh', '-c', ENTER, 'sh', name, memory, layers.join(':')],
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    let output = ''
    for (const stream of [outer.stdout, outer.stderr]) {
      stream?.on('data', (chunk) => {
        output += chunk
      })
    }
    const ended = new Promise<void>((resolve) => outer.on('close', () => resolve()))
    t.after(async () => {
      outer.kill('SIGKILL')
      await ended
    })
    await waitFor(
      () => {
        if (outer.exitCode !== null) throw new Error(`Cannot lay files over this machine's: ${output}`)
        return output.includes('up\n')
      },
      { what: 'the mounts' },
    )
    const children = readFileSync(`/proc/${outer.pid}/task/${outer.pid}/children`, 'utf8')
    return new LayeredRoot(outer, Number(children.trim()))
  }

  /** @returns a path for this process */
  path(file: string): string {
    return join(`/proc/${this.pid}/root`, file)
  }

  /** @returns the words that start a program in there */
  command(program: string, ...args: string[]): [program: string, args: string[]] {
    const namespaces = ['--mount', '--uts', '--net', '--pid']
    return ['nsenter', [`--target=${this.pid}`, ...namespaces, '--wd=/', program, ...args]]
  }

  /** @returns its stdout @throws with its stderr when the exit code is not 0 */
  run(program: string, ...args: string[]): Promise<string> {
    const [first, rest] = this.command(program, ...args)
    return tool(first, rest)
  }

  /** Starts what goes on running. It ends with this. */
  start(program: string, ...args: string[]): ChildProcess {
    const [first, rest] = this.command(program, ...args)
    return spawn(first, rest, { stdio: 'ignore' })
  }

  get running(): boolean {
    return this.#outer.exitCode === null && this.#outer.signalCode === null
  }
}
