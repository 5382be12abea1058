/**
 * The client's side of the PTM verbs: one call for a CUSE device by ioctl(2) and for a control channel by socket.
 *
 * A client sends one verb at a time. What the TPM answers, failures included, is a value; only a server that cannot be
 * reached, goes away or does not answer is an exception.
 * @see swtpm_ioctls(3)
 */
import type { Outcome, Request, VerbName } from '../../contract/verbs.ts'

export interface PtmClient {
  /**
   * @param extraTimeMs how much longer than usual the server may need for this verb
   * @returns the response, or the result alone if it is not TPM_SUCCESS
   * @throws SwtpmError when there is no answer; the client is of no further use then
   */
  call<V extends VerbName>(verb: V, request: Request<V>, extraTimeMs?: number): Promise<Outcome<V>>
  /** The read() and write() that move state blobs on a device; a socket has none. */
  readonly stream?: BlobStream
  close(): void
}

/** @see swtpm_ioctls(3) PTM_GET_STATEBLOB, PTM_SET_STATEBLOB */
export interface BlobStream {
  /** @returns at most `size` bytes; none at the end */
  read(size: number): Buffer
  write(bytes: Buffer): void
}
