/** Connects to a Unix socket, for a test that sends descriptors over it or counts what it takes. */
import { check } from '../../src/system/native/check.ts'
import { native } from '../../src/system/native/load.ts'

/** @returns the bare descriptor, non-blocking */
export const connectUnix = (path: string): number => check(native.connectUnix(path), `connect to "${path}"`)
