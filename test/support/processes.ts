/** Looking at processes, through /proc. */
import { readdirSync, readFileSync } from 'node:fs'
import { waitFor } from './wait.ts'

/** The engine of a TPM: a child of its keeper, or in a fleet of the spawner, which is a child of Node. */
export function enginePid(supervisor: number): Promise<number> {
  return nextEngine(supervisor, 0)
}

/** The engine that has come after `before`. */
export function nextEngine(supervisor: number, before: number): Promise<number> {
  return waitFor(() => engineNow(supervisor, before), {
    what: `an engine after process ${before}`,
  }) as Promise<number>
}

/** The engine, other than `before`, that a supervisor has at this moment. */
export function engineNow(supervisor: number, before = 0): number | undefined {
  // The spawner has the same name, until it has given itself another; its parent is Node.
  const isEngine = (pid: number): boolean =>
    nameOf(pid) === 'tpm-engine' && ['swtpm', 'tpm-spawner'].includes(nameOf(parentOf(pid)))
  return descendants(supervisor).find((pid) => pid !== before && alive(pid) && isEngine(pid))
}

export function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return ''
  }
}

function parentOf(pid: number): number {
  try {
    return Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  } catch {
    return 0
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** Children, and theirs. */
export function descendants(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendants(child)])
}

/** A zombie has ended: only its parent has not asked yet. */
export function alive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** Whether any thread of the process is on a CPU or waits for one. */
export function atWork(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).some(
    (task) => readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8').split(') ')[1]?.[0] === 'R',
  )
}

/** Processor time of a process and all its threads, in user and kernel mode. @returns in ticks of 10 ms; see proc(5) */
export function cpuTicks(pid: number): number {
  // The name in front may have blanks and brackets; "state" comes behind it and is field 3.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
  return Number(fields[14 - 3]) + Number(fields[15 - 3])
}

/** Reading a command takes less, on an emulated processor too. */
const DEEP_TICKS = 3

/** Until the process has computed for a while and still does: it is past reading what it is to do. */
export async function deepInWork(pid: number): Promise<void> {
  const before = cpuTicks(pid)
  await waitFor(() => cpuTicks(pid) - before >= DEEP_TICKS && atWork(pid), {
    what: `process ${pid} to work`,
  })
}

/** read(2) in /proc/PID/syscall, by `process.arch`. */
const READ_NUMBERS: { readonly [arch: string]: number } = { x64: 0, arm64: 63 }

/** Whether the process sleeps in a read(2) of its standard input. @see proc(5), "/proc/pid/syscall" */
export function waitsForInput(pid: number): boolean {
  const number = READ_NUMBERS[process.arch]
  if (number === undefined) throw new Error(`The number of read(2) on ${process.arch} is not known here`)
  return readFileSync(`/proc/${pid}/syscall`, 'utf8').startsWith(`${number} 0x0 `)
}

/** SIGUSR2 to a supervisor; resolves when there is another engine, and it alone. */
export async function replaceEngine(supervisor: number): Promise<void> {
  const engine = await enginePid(supervisor)
  process.kill(supervisor, 'SIGUSR2')
  await nextEngine(supervisor, engine)
  await waitFor(() => !alive(engine), { what: 'the old engine to end' })
}
