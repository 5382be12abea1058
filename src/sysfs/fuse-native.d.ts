/**
 * What is used of fuse-native, which has no types of its own. It is an optional dependency: where it is not installed, programs are
 * built and checked all the same.
 */
declare module 'fuse-native' {
  type Stat = {
    readonly mode: number
    readonly size: number
    readonly nlink: number
    readonly uid: number
    readonly gid: number
    readonly mtime: Date
    readonly atime: Date
    readonly ctime: Date
  }
  /** 0, or a negative errno. */
  type Done<T extends unknown[] = []> = (result: number, ...values: Partial<T>) => void

  export interface Operations {
    getattr(path: string, done: Done<[Stat]>): void
    readdir(path: string, done: Done<[readonly string[]]>): void
    readlink(path: string, done: Done<[string]>): void
    open(path: string, flags: number, done: Done<[handle: number]>): void
    /** @param done with the number of bytes, or a negative errno */
    read(path: string, handle: number, into: Buffer, length: number, position: number, done: Done): void
    release(path: string, handle: number, done: Done): void
  }

  export interface Options {
    readonly allowOther?: boolean
    readonly defaultPermissions?: boolean
    readonly fsname?: string
    readonly subtype?: string
    /** Seconds; 0 is the default of libfuse, 1. */
    readonly attrTimeout?: number
    readonly entryTimeout?: number
    /** false: an operation may take its time. */
    readonly timeout?: false
  }

  export default class Fuse {
    constructor(directory: string, operations: object, options: Options)
    mount(done: (error?: Error | null) => void): void
  }
}
