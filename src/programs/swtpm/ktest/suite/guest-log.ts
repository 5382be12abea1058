/** The kernel's log, read inside the guest. */
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { KernelLog, type LogRecord } from '../../../../machine/kernel-log.ts'

/** More than one record, which is what a read() gives. */
const RECORD_BYTES = 16 * 1024

/** What has been logged up to now, after a record. */
export function recordsAfter(sequence: number): LogRecord[] {
  const records: LogRecord[] = []
  const log = new KernelLog((record) => records.push(record))
  const fd = openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK)
  const buffer = Buffer.alloc(RECORD_BYTES)
  try {
    for (;;) log.add(buffer.subarray(0, readSync(fd, buffer)))
  } catch (error) {
    // EAGAIN: that was all. EPIPE: a record has been overwritten meanwhile.
    if (!['EAGAIN', 'EPIPE'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  } finally {
    closeSync(fd)
  }
  return records.filter((record) => record.sequence > sequence)
}
