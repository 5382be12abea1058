/**
 * What a disk may hold after a power cut. Recorded operations go in one by one; out come the contents that a file
 * system, as far as POSIX binds it, may show afterwards:
 *
 * - of what was written to a file since its last fsync, any sectors of 512 bytes, and the file's old or new size;
 * - of what happened to names since the last fsync of their directory, any operations, and a rename perhaps without the
 *   removal of the old name.
 *
 * Journalling file systems lose less than that, in order.
 */
import { createHash } from 'node:crypto'
import type { DiskRecord } from './disk-shim.ts'

/** File contents by name. */
export type Image = ReadonlyMap<string, Buffer>

const SECTOR = 512
/** Up to so many pieces every subset is tried, beyond that the telling ones. */
const EXHAUSTIVE = 8

type Piece = { readonly offset: number; readonly data: Buffer } | { readonly size: number }

class File {
  durable: Buffer = Buffer.alloc(0)
  pieces: Piece[] = []
  /** Where the next write() goes. */
  position = 0

  sync(): void {
    this.durable = apply(this.durable, this.pieces)
    this.pieces = []
  }

  write(offset: number, data: Buffer): void {
    for (let done = 0; done < data.length; ) {
      const at = offset + done
      const length = Math.min(SECTOR - (at % SECTOR), data.length - done)
      this.pieces.push({ offset: at, data: data.subarray(done, done + length) })
      done += length
    }
  }

  /** Every content it may have, the complete one last. */
  contents(): Buffer[] {
    if (this.pieces.length === 0) return [this.durable]
    const whole = apply(this.durable, this.pieces)
    const found = new Map<string, Buffer>()
    const add = (content: Buffer): void => void found.set(digest(content), content)
    for (const kept of subsets(this.pieces)) {
      const content = apply(this.durable, kept)
      add(content)
      // The new size may be on the disk before the data are.
      if (content.length < whole.length)
        add(Buffer.concat([content, Buffer.alloc(whole.length - content.length)]))
    }
    add(whole)
    return [...found.values()]
  }
}

function apply(before: Buffer, pieces: readonly Piece[]): Buffer {
  let content = Buffer.from(before)
  const resize = (size: number): void => {
    content =
      size <= content.length
        ? content.subarray(0, size)
        : Buffer.concat([content, Buffer.alloc(size - content.length)])
  }
  for (const piece of pieces) {
    if ('size' in piece) {
      resize(piece.size)
      continue
    }
    if (content.length < piece.offset + piece.data.length) resize(piece.offset + piece.data.length)
    piece.data.copy(content, piece.offset)
  }
  return content
}

/** All subsets of few; of many: beginnings, ends, one alone, all but one, every other. */
function subsets<T>(all: readonly T[]): T[][] {
  const count = all.length
  if (count <= EXHAUSTIVE)
    return Array.from({ length: 1 << count }, (_, bits) => all.filter((_item, i) => bits & (1 << i)))
  const chosen: T[][] = [[], [...all]]
  for (let i = 0; i < count; i++) {
    chosen.push(all.slice(0, i), all.slice(i), all.slice(i, i + 1), all.toSpliced(i, 1))
  }
  for (const odd of [0, 1]) chosen.push(all.filter((_item, i) => i % 2 === odd))
  return chosen
}

/** One thing that happened to names: what each of them means afterwards. */
type NameChange = readonly (readonly [name: string, file: File | undefined])[]

export class DiskModel {
  readonly #linear: boolean
  readonly #open = new Map<number, File>()
  /** As programs see it. */
  readonly #names = new Map<string, File>()
  readonly #durableNames = new Map<string, File>()
  #pending: NameChange[] = []

  /** @param linear the state is the one file behind descriptor 4, whose name has always been there */
  constructor(linear: boolean) {
    this.#linear = linear
    if (!linear) return
    const file = new File()
    this.#open.set(4, file)
    this.#durableNames.set('linear', file)
  }

  apply(record: DiskRecord): void {
    const { operation, fd, result, offset, names, data } = record
    const [name = '', target = ''] = names
    const file = this.#open.get(fd)
    switch (operation) {
      case 'create': {
        const created = new File()
        this.#open.set(result, created)
        this.#rename([[name, created]])
        break
      }
      case 'open':
        this.#open.set(result, this.#names.get(name) as File)
        break
      case 'write': {
        if (file === undefined) throw new Error(`a write to the unknown descriptor ${fd}`)
        const at = offset < 0 ? file.position : offset
        file.write(at, data)
        if (offset < 0) file.position += data.length
        break
      }
      case 'truncate':
        file?.pieces.push({ size: offset })
        break
      case 'sync':
        file?.sync()
        break
      case 'syncDirectory':
        for (const change of this.#pending.splice(0)) set(this.#durableNames, change)
        break
      case 'rename':
        this.#rename([
          [target, this.#names.get(name)],
          [name, undefined],
        ])
        break
      case 'link':
        this.#rename([[target, this.#names.get(name)]])
        break
      case 'unlink':
        this.#rename([[name, undefined]])
        break
      case 'close':
        this.#open.delete(fd)
    }
  }

  /** The disk as it may be if the power goes now, each possibility once. */
  images(): Map<string, Image> {
    const images = new Map<string, Image>()
    for (const names of this.#namings()) {
      const files = [...new Set(names.values())]
      for (const contents of product(files.map((file) => file.contents()))) {
        const image = new Map(
          [...names].map(([name, file]) => [name, contents[files.indexOf(file)] as Buffer]),
        )
        images.set(imageKey(image), image)
      }
    }
    return images
  }

  *#namings(): Generator<Map<string, File>> {
    // A rename that lost the second half leaves the file under both names.
    const choices = this.#pending.map((change) => (change.length === 2 ? [0, 1, 2] : [0, 2]))
    for (const choice of product(choices)) {
      const names = new Map(this.#durableNames)
      this.#pending.forEach((change, i) => {
        if (choice[i] === 2) set(names, change)
        else if (choice[i] === 1) set(names, change.slice(0, 1))
      })
      yield names
    }
  }

  #rename(change: NameChange): void {
    if (this.#linear) return
    this.#pending.push(change)
    set(this.#names, change)
  }
}

function set(names: Map<string, File>, change: NameChange): void {
  for (const [name, file] of change) {
    if (file === undefined) names.delete(name)
    else names.set(name, file)
  }
}

function product<T>(lists: readonly (readonly T[])[]): T[][] {
  return lists.reduce<T[][]>(
    (sofar, list) => sofar.flatMap((one) => list.map((item) => [...one, item])),
    [[]],
  )
}

const digest = (content: Buffer): string => createHash('sha1').update(content).digest('hex')

const imageKey = (image: Image): string =>
  [...image]
    .map(([name, content]) => `${name}=${digest(content)}`)
    .sort()
    .join(' ')
