/**
 * The seccomp filter of a live process: fetched from the kernel, and judged for any system call.
 * @see seccomp(2), linux/filter.h, ptrace(2) PTRACE_SECCOMP_GET_FILTER
 */
import { execFileSync } from 'node:child_process'
import { arch } from 'node:process'
import { PYTHON } from '../../support/python.ts'

interface Instruction {
  readonly code: number
  readonly ifTrue: number
  readonly ifFalse: number
  readonly k: number
}

export interface SystemCall {
  readonly nr: number
  readonly architecture?: number
  readonly args?: readonly number[]
}

export const ALLOW = 0x7fff0000
export const LOG = 0x7ffc0000
export const KILL_PROCESS = 0x80000000
/** The call fails; the lower half is the errno. */
export const FAIL = 0x50000

/** AUDIT_ARCH_* of this machine, and of one whose numbers mean other calls. */
export const [NATIVE, FOREIGN] =
  arch === 'arm64' ? [0xc00000b7, 0x40000028] : arch === 'x64' ? [0xc000003e, 0x40000003] : [0, 0]

// Attaching stops the process for a moment; what it was waiting for goes on afterwards.
const FETCH = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
def ptrace(request, address=None, data=None):
    result = libc.ptrace(request, pid, address, data)
    if result < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
SEIZE, INTERRUPT, GET_FILTER, DETACH, WALL = 0x4206, 0x4207, 0x420c, 17, 0x40000000
pid = int(sys.argv[1])
ptrace(SEIZE)
ptrace(INTERRUPT)
os.waitpid(pid, WALL)
size = ptrace(GET_FILTER)
program = ctypes.create_string_buffer(size * 8)
ptrace(GET_FILTER, None, ctypes.addressof(program))
ptrace(DETACH)
print(program.raw.hex())
`

/** @returns why filters cannot be fetched here, or false */
export function cannotFetchFilters(): string | false {
  if (process.getuid?.() !== 0) return 'fetching a filter needs root'
  if (NATIVE === 0) return `AUDIT_ARCH_* of ${arch} is not known`
  try {
    execFileSync(PYTHON, ['--version'], { stdio: 'ignore' })
    return false
  } catch {
    return 'there is no python3'
  }
}

export class SeccompFilter {
  /** As the kernel has it: a sock_filter each. */
  readonly bytes: Buffer
  readonly #program: readonly Instruction[]

  /** The filter that was installed last. */
  constructor(pid: number) {
    const bytes = Buffer.from(
      execFileSync(PYTHON, ['-c', FETCH, String(pid)], { encoding: 'utf8' }).trim(),
      'hex',
    )
    this.bytes = bytes
    this.#program = Array.from({ length: bytes.length / 8 }, (_, i) => ({
      code: bytes.readUInt16LE(i * 8),
      ifTrue: bytes.readUInt8(i * 8 + 2),
      ifFalse: bytes.readUInt8(i * 8 + 3),
      k: bytes.readUInt32LE(i * 8 + 4),
    }))
  }

  /** What the kernel does about one call with exactly these arguments. */
  verdict(call: SystemCall): number {
    const verdicts = this.#run(call, (call.args ?? []).concat(Array(6).fill(0)).slice(0, 6))
    return [...verdicts][0] as number
  }

  /** Everything the kernel may do about a call, over all arguments there are. */
  verdicts(call: SystemCall): Set<number> {
    return this.#run(call, undefined)
  }

  /** Follows the program; where it asks for arguments that are not given, both ways. */
  #run({ nr, architecture = NATIVE }: SystemCall, args: readonly number[] | undefined): Set<number> {
    const verdicts = new Set<number>()
    const load = (offset: number): number | undefined => {
      if (offset === 0) return nr
      if (offset === 4) return architecture
      if (offset < 16 || args === undefined) return undefined
      const value = BigInt.asUintN(64, BigInt(args[(offset - 16) >> 3] as number))
      return Number(offset % 8 === 0 ? value & 0xffffffffn : value >> 32n)
    }
    const step = (start: number, value: number | undefined): void => {
      let a = value
      for (let pc = start; ; pc++) {
        const { code, ifTrue, ifFalse, k } = this.#program[pc] as Instruction
        const jump = (condition: (a: number) => boolean): void => {
          if (a !== undefined) pc += condition(a) ? ifTrue : ifFalse
          else {
            step(pc + 1 + ifTrue, a)
            pc += ifFalse
          }
        }
        switch (code) {
          case 0x20: // ld [k]
            a = load(k)
            break
          case 0x54: // and #k
            a = a === undefined ? a : (a & k) >>> 0
            break
          case 0x05: // ja
            pc += k
            break
          case 0x15: // jeq
            jump((a) => a === k)
            break
          case 0x25: // jgt
            jump((a) => a > k)
            break
          case 0x35: // jge
            jump((a) => a >= k)
            break
          case 0x45: // jset
            jump((a) => (a & k) !== 0)
            break
          case 0x06: // ret #k
            verdicts.add(k)
            return
          default:
            throw new Error(`the filter has an instruction with the code 0x${code.toString(16)}`)
        }
      }
    }
    step(0, undefined)
    return verdicts
  }
}
