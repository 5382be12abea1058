/** What a TPM's engine serves, and how: everything that another engine has to be told before it continues. */

import { closeSync } from 'node:fs'
import { ATTACH_KIND, type AttachKind, type Route } from '../../../contract/engine-channel.ts'
import { attachReq, setProfileReq } from '../../../contract/engine-requests.ts'
import { BIG } from '../../../contract/struct.ts'

export interface Attached {
  readonly kind: AttachKind
  /** A duplicate: the caller's own may be closed. */
  readonly fd: number
  readonly flags: number
}

export interface SavedServedTpm {
  readonly clientOpen: boolean
  readonly storageLocked: boolean
  readonly profile?: string | undefined
}

/** A place for one descriptor that is served. */
class Place {
  #attached: Attached | undefined
  /**
   * What an engine was asked to serve while `attached` was not reported closed: the engine may accept it before the event of
   * its end arrives here.
   */
  #next: Attached | undefined
  readonly #open = new Set<Attached>()

  get attached(): Attached | undefined {
    return this.#attached
  }

  get isSettled(): boolean {
    return this.#next === undefined
  }

  /** Notes what the engine is asked to serve, and takes `fd` over. @returns what to call when the engine refuses */
  expect(attached: Attached): { refused(): void } {
    this.#open.add(attached)
    if (this.#attached === undefined) this.#attached = attached
    else if (this.#next === undefined) this.#next = attached
    return {
      refused: () => {
        if (this.#attached === attached) return this.detached()
        if (this.#next === attached) this.#next = undefined
        this.#close(attached)
      },
    }
  }

  /** The engine does not serve `attached` any more. */
  detached(): void {
    if (this.#attached !== undefined) this.#close(this.#attached)
    this.#attached = this.#next
    this.#next = undefined
  }

  /** Once: what is refused may have been closed before, with the last engine. */
  #close(attached: Attached): void {
    if (this.#open.delete(attached)) closeSync(attached.fd)
  }
}

export class ServedTpm {
  readonly #main = new Place()
  /** A device for many clients, beside the other one. */
  readonly #managed = new Place()
  /** A client is connected to what is attached, or has opened it. */
  clientOpen = false
  route: Route = 'native'
  storageLocked = true
  /** Data commands are shown to us. */
  intercepted = false
  /** JSON, for a TPM 2.0 that a later INIT makes. */
  profile: string | undefined

  /** @param saved of an earlier supervisor of this TPM; the descriptors become ours */
  constructor(
    saved: Partial<SavedServedTpm> & {
      readonly attached?: Attached | undefined
      readonly managed?: Attached | undefined
    } = {},
  ) {
    const { attached, managed, clientOpen, storageLocked, profile } = saved
    if (attached !== undefined) this.expect(attached)
    if (managed !== undefined) this.expect(managed)
    this.clientOpen = clientOpen ?? false
    this.storageLocked = storageLocked ?? true
    this.profile = profile
  }

  /** What the next supervisor of this TPM has to know; undefined while something is under way. */
  save(): SavedServedTpm | undefined {
    const settled = this.#main.isSettled && this.#managed.isSettled
    if (!settled || this.route !== 'native' || this.intercepted) return undefined
    const { clientOpen, storageLocked, profile } = this
    return { clientOpen, storageLocked, profile }
  }

  get attached(): Attached | undefined {
    return this.#main.attached
  }

  get managed(): Attached | undefined {
    return this.#managed.attached
  }

  /** @see Place.expect */
  expect(attached: Attached): { refused(): void } {
    if (attached.kind === 'managedCuse') return this.#managed.expect(attached)
    const { refused } = this.#main.expect(attached)
    return {
      refused: () => {
        if (this.attached === attached) this.route = 'native'
        refused()
      },
    }
  }

  /** The engine does not serve `attached` any more. */
  detached(): void {
    this.#main.detached()
    this.route = 'native'
  }

  allDetached(): void {
    this.detached()
    this.managedDetached()
  }

  managedDetached(): void {
    this.#managed.detached()
  }
}

/** It stays attached when a client has gone. */
export const isListener = (kind: AttachKind | undefined): boolean =>
  kind === 'listener' || kind === 'managedListener'

/** The body of ENGINE_ATTACH; the descriptor goes along. */
export const attachRequest = ({ kind, flags }: Pick<Attached, 'kind' | 'flags'>): Buffer =>
  attachReq.encode({ kind: ATTACH_KIND[kind], flags }, BIG)

/** The body of ENGINE_SET_PROFILE. */
export function profileRequest(profile: string): Buffer {
  const json = Buffer.from(profile)
  return setProfileReq.encode({ length: json.length, json }, BIG)
}
