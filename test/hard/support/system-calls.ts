/** System calls by number: what their numbers are here, what they come to under a filter, and a kernel that lacks one. */
import { execFileSync, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PYTHON } from '../../support/python.ts'

/** Numbers of system calls on this machine; those that it does not have are undefined. */
export function numbersOf<const N extends string>(...names: N[]): Record<N, number> {
  const source = `#include <sys/syscall.h>\n${names.map((name) => `= ${name} SYS_${name}`).join('\n')}\n`
  const text = execFileSync('cc', ['-E', '-P', '-'], { input: source, encoding: 'utf8' })
  const found = [...text.matchAll(/^= (\w+) (\d+)$/gm)].map(([, name, nr]) => [name, Number(nr)])
  return Object.fromEntries(found) as Record<N, number>
}

const INSTALL = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
class Program(ctypes.Structure):
    _fields_ = [('length', ctypes.c_ushort), ('filter', ctypes.c_void_p)]
def install(program):
    code = ctypes.create_string_buffer(program, len(program))
    described = Program(len(program) // 8, ctypes.addressof(code))
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(described), 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
`

/**
 * Makes a system call under a filter of another process, and does nothing else there.
 * @param program of the filter, as the kernel has it
 * @returns its errno, 0 for success; or the signal that has ended the process
 */
export function callUnder(program: Buffer, nr: number, ...args: number[]): number | NodeJS.Signals {
  const script = `${INSTALL}
libc.syscall.argtypes = [ctypes.c_long] * ${args.length + 1}
install(bytes.fromhex(sys.argv[1]))
result = libc.syscall(${[nr, ...args].join(', ')})
print(ctypes.get_errno() if result < 0 else 0)
`
  const { signal, stdout, stderr } = spawnSync(PYTHON, ['-c', script, program.toString('hex')], {
    encoding: 'utf8',
  })
  if (signal !== null) return signal
  if (stdout === '') throw new Error(stderr)
  return Number(stdout)
}

/** @returns a program that starts `target` as on a kernel that does not know the system call */
export function withoutSystemCall(directory: string, target: string, nr: number): string {
  const path = join(directory, 'without-call')
  const script = `#!${PYTHON}${INSTALL}
import struct
step = lambda code, yes, no, k: struct.pack('HBBI', code, yes, no, k)
install(step(0x20, 0, 0, 0) + step(0x15, 0, 1, ${nr}) + step(6, 0, 0, 0x50000 | 38) + step(6, 0, 0, 0x7fff0000))
os.execv(${JSON.stringify(target)}, [${JSON.stringify(target)}] + sys.argv[1:])
`
  writeFileSync(path, script, { mode: 0o755 })
  return path
}
