/** What FUSE asks, answered out of the tree: a file system that can only be read. */
import { constants as files } from 'node:fs'
import { constants } from 'node:os'
import type { Done, Operations, Stat } from 'fuse-native'
import { sentenceOf } from '../system/fault.ts'
import { log } from '../system/log.ts'
import { ReadError } from './ask.ts'
import type { Entry, Tree } from './tree.ts'

const { ENOENT, ENOTDIR, EISDIR, EINVAL, EIO, EROFS } = constants.errno
/** O_ACCMODE */
const ACCESS_MODE = files.O_WRONLY | files.O_RDWR
const MODES = { directory: files.S_IFDIR | 0o755, file: files.S_IFREG | 0o444, link: files.S_IFLNK | 0o777 }

/** Everything that would change something. What FUSE hands them ends with what to call. */
const CHANGES = [
  ...['chmod', 'chown', 'create', 'ftruncate', 'link', 'mkdir', 'mknod', 'removexattr', 'rename', 'rmdir'],
  ...['setxattr', 'symlink', 'truncate', 'unlink', 'utimens', 'write'],
]

export function operationsOn(tree: Tree): Operations {
  const began = new Date()
  const stat = async (entry: Entry): Promise<Stat> => ({
    mode: MODES[entry.kind],
    size: entry.kind === 'file' ? await entry.size() : 0,
    nlink: entry.kind === 'directory' ? 2 : 1,
    uid: 0,
    gid: 0,
    ...{ mtime: began, atime: began, ctime: began },
  })
  const refuse = (...given: unknown[]): void => (given.at(-1) as Done)(-EROFS)
  return {
    ...Object.fromEntries(CHANGES.map((name) => [name, refuse])),

    getattr: (path, done) =>
      answer(done, async () => {
        const status = await stat(await found(tree, path))
        return () => done(0, status)
      }),

    readdir: (path, done) =>
      answer(done, async () => {
        const entry = await found(tree, path)
        if (entry.kind !== 'directory') return () => done(-ENOTDIR)
        const names = await entry.names()
        return () => done(0, ['.', '..', ...names])
      }),

    readlink: (path, done) =>
      answer(done, async () => {
        const entry = await found(tree, path)
        return () => (entry.kind === 'link' ? done(0, entry.target) : done(-EINVAL))
      }),

    open: (path, flags, done) =>
      answer(done, async () => {
        await found(tree, path)
        if ((flags & ACCESS_MODE) !== files.O_RDONLY) return () => done(-EROFS)
        // As in sysfs. It would also let a user have any number of reads of one file under way.
        if ((flags & files.O_DIRECT) !== 0) return () => done(-EINVAL)
        return () => done(0, 0)
      }),

    read: (path, _handle, into, length, position, done) =>
      answer(done, async () => {
        const entry = await found(tree, path)
        if (entry.kind !== 'file') return () => done(-EISDIR)
        const bytes = Buffer.from(await entry.text()).subarray(position, position + length)
        bytes.copy(into)
        return () => done(bytes.length)
      }),

    release: (_path, _handle, done) => done(0),
  }
}

/** @throws Missing */
async function found(tree: Tree, path: string): Promise<Entry> {
  const entry = await tree.find(path)
  if (entry === undefined) throw new Missing(path)
  return entry
}

class Missing extends Error {}

/** Each request is answered once, whatever happens. */
function answer(done: Done, work: () => Promise<() => void>): void {
  work().then(
    (reply) => reply(),
    (error) => done(-errnoOf(error)),
  )
}

function errnoOf(error: unknown): number {
  if (error instanceof Missing) return ENOENT
  if (error instanceof ReadError) return error.errno
  // A response that is too short is the TPM's fault, and anything else ours.
  if (!(error instanceof RangeError)) log.error(`Cannot answer a reader of --sysfs: ${sentenceOf(error)}`)
  return EIO
}
