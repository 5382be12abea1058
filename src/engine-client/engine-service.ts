/** What a TPM's engine serves, and how: all that another one in its place has to be told. */
import { closeSync } from 'node:fs'
import { BIG } from '../protocol/struct.ts'
import { ATTACH_KIND, type AttachKind, attachReq, type Route } from './engine-wire.ts'

export interface Attached {
  readonly kind: AttachKind
  /** A duplicate: the caller's own may be closed. */
  readonly fd: number
  readonly flags: number
}

export class EngineService {
  attached: Attached | undefined
  /** Somebody has connected to what is attached, or opened it. */
  clientOpen = false
  route: Route = 'native'
  storageLocked = true

  /** Nothing is attached any more. */
  letGo(): void {
    if (this.attached !== undefined) closeSync(this.attached.fd)
    this.attached = undefined
    this.route = 'native'
  }
}

/** The body of ENGINE_ATTACH; the descriptor goes along. */
export const attachRequest = ({ kind, flags }: Pick<Attached, 'kind' | 'flags'>): Buffer =>
  attachReq.encode({ kind: ATTACH_KIND[kind], flags }, BIG)
