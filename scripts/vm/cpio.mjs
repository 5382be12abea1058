// Writes a cpio archive in the "newc" format, the one the kernel unpacks as its initial file system.

/**
 * @typedef {object} Entry
 * @property {string} name path without a leading slash; parents must come first
 * @property {number} mode file type and permissions, as in stat(2)
 * @property {Buffer} [data] file contents, or the target of a symbolic link
 */

const S_IFDIR = 0o040000
const S_IFREG = 0o100000
const S_IFLNK = 0o120000

/** @param {string} name @returns {Entry} */
export const directory = (name) => ({ name, mode: S_IFDIR | 0o755 })

/** @param {string} name @param {Buffer | string} data @param {number} [permissions] @returns {Entry} */
export const file = (name, data, permissions = 0o644) => ({
  name,
  mode: S_IFREG | permissions,
  data: Buffer.from(data),
})

/** @param {string} name @param {string} target @returns {Entry} */
export const symlink = (name, target) => ({ name, mode: S_IFLNK | 0o777, data: Buffer.from(target) })

/** @param {Entry[]} entries @returns {Buffer} */
export function cpio(entries) {
  const trailer = { name: 'TRAILER!!!', mode: 0 }
  return Buffer.concat([...entries, trailer].flatMap((entry, index) => member(entry, index + 1)))
}

/** @param {Entry} entry @param {number} inode @returns {Buffer[]} */
function member({ name, mode, data = Buffer.alloc(0) }, inode) {
  const nameBytes = Buffer.from(`${name}\0`)
  // Magic, then 13 fields of 8 hex digits: inode, mode, uid, gid, links, mtime, size, 4 device numbers, name size, checksum.
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, nameBytes.length, 0]
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`)
  return [padded(Buffer.concat([header, nameBytes])), padded(data)]
}

/** @param {Buffer} bytes @returns {Buffer} filled up to a multiple of four, as the format wants it */
function padded(bytes) {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)])
}
