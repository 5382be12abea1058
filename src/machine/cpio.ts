/** Writes a cpio archive in the "newc" format, the one the kernel unpacks as its initial file system. */

export interface Entry {
  /** Path without a leading slash; parents must come first. */
  readonly name: string
  /** File type and permissions, as in stat(2). */
  readonly mode: number
  /** The contents of a file, or the target of a symbolic link. */
  readonly data?: Buffer
}

const S_IFDIR = 0o040000
const S_IFREG = 0o100000
const S_IFLNK = 0o120000

export const directory = (name: string, permissions = 0o755): Entry => ({
  name,
  mode: S_IFDIR | permissions,
})

export const file = (name: string, data: Buffer | string, permissions = 0o644): Entry => ({
  name,
  mode: S_IFREG | permissions,
  data: Buffer.from(data as string),
})

export const symlink = (name: string, target: string): Entry => ({
  name,
  mode: S_IFLNK | 0o777,
  data: Buffer.from(target),
})

/** Archives may follow one another in one file: the kernel unpacks them all. */
export function cpio(entries: readonly Entry[]): Buffer {
  const trailer: Entry = { name: 'TRAILER!!!', mode: 0 }
  return Buffer.concat([...entries, trailer].flatMap((entry, index) => member(entry, index + 1)))
}

function member({ name, mode, data = Buffer.alloc(0) }: Entry, inode: number): Buffer[] {
  const nameBytes = Buffer.from(`${name}\0`)
  // Magic, then 13 fields of 8 hex digits: inode, mode, uid, gid, links, mtime, size, 4 device numbers, name size, checksum.
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, nameBytes.length, 0]
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`)
  return [padded(Buffer.concat([header, nameBytes])), padded(data)]
}

/** Filled up to a multiple of four, as the format wants it. */
function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)])
}
