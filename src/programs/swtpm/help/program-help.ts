/** What `swtpm` says when no interface is named: short, and without loading much. */
import type { Interface } from '../../../serve/config.ts'
import { meantHint } from '../../../system/did-you-mean.ts'
import { versionLine } from '../../../system/version.ts'

/** `swtpm --version`, `swtpm cuse --version`. */
export const programVersion = (iface?: Interface): string =>
  `${versionLine(iface === 'cuse' ? 'TPM emulator CUSE interface' : 'TPM emulator')}\n`

/** `swtpm --help`, and after an error about the interface. */
export function programHelp(program = 'swtpm'): string {
  return `TPM emulator with choice of interface.

Usage: ${program} socket|chardev|cuse [options]
       ${program} fleet [options], ${program} fleet add|remove|list
       ${program} cdi write|remove [options]
       ${program} fault SOCKET [add RULE|list|remove N|clear|wait N] [options]
       ${program} run [options] -- COMMAND
       ${program} doctor [USE…] [--json]
       ${program} list [--json]
       ${program} state show|verify|backup|convert|rekey PLACE [TO] [options]
       ${program} trace FILE|- [options]
       ${program} record --behind TPM -o FILE -- COMMAND
       ${program} replay FILE [options]
       ${program} ktest [options] -- COMMAND
       ${program} completion
       ${program} -v|--version

  socket   TPM commands on a TCP or Unix socket: for QEMU, libvirt, TSS libraries
  chardev  a TPM device of the kernel, /dev/tpmN (--vtpm-proxy), or a device that exists
  cuse     a TPM device in user space, /dev/NAME, controlled by ioctls
  fleet    many TPMs of these kinds under one supervisor
  cdi      tells podman and other container runtimes of a TPM device
  fault    has the commands of a TPM that is served go wrong, or right again
  run      runs a command with a TPM of its own
  doctor   says what this machine can do, what stops it, and the line that mends it
  list     lists the TPMs that run
  state    shows, checks, copies, converts and re-encrypts the state of a TPM
  trace    prints TPM commands and responses in words
  record   runs a command that uses a TPM, and records what passes
  replay   sends the commands of a recording again, and compares
  ktest    runs a command on a given Linux kernel in QEMU, with TPMs of these kinds
  completion  prints what ~/.bashrc or ~/.zshrc needs for completion by the Tab key

Use the --help option to see the help screen for each interface type.
Use the --version options to see version information.
`
}

/**
 * What is written to standard error for a missing or unknown first word; the exit code is 1.
 * @param words that are known
 */
export function interfaceError(word: string | undefined, words: readonly string[]): string {
  if (word === undefined) return `Missing TPM interface type.\n${programHelp()}`
  return `swtpm: Unsupported TPM interface type '${word}'${meantHint(word, words)}\nTry 'swtpm --help' for more.\n`
}
