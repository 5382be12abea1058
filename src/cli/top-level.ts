/** `swtpm` without the name of an interface: what there is, and where to go on. */

const OVERVIEW = `swtpm: a TPM 1.2 or 2.0 in software, backed by libtpms

Usage: swtpm <interface> [options]

Interfaces:
  socket    TPM commands over TCP or Unix sockets, with a control channel
  chardev   a /dev/tpmN of the kernel itself (--vtpm-proxy), or a given character device
  cuse      a character device in user space, controlled by ioctl(2)

\`swtpm <interface> --help\` explains the options of each.
`

/** @returns the exit code */
export function topLevel(word: string | undefined): number {
  if (word === '-h' || word === '--help') {
    process.stdout.write(OVERVIEW)
    return 0
  }
  const why = word === undefined ? 'No interface was named' : `There is no interface "${word}"`
  process.stderr.write(`swtpm: ${why}\n\n${OVERVIEW}`)
  return 1
}
