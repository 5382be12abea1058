/** What a TPM's engine serves, and how: all that another one in its place has to be told. */

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

export class EngineService {
  #attached: Attached | undefined
  /** Attached as soon as the end of the one before has been heard of, which the engine knows earlier than we do. */
  #next: Attached | undefined
  readonly #open = new Set<Attached>()
  /** Somebody has connected to what is attached, or opened it. */
  clientOpen = false
  route: Route = 'native'
  storageLocked = true
  /** JSON: of a TPM 2.0 that a later INIT may make. */
  profile: string | undefined

  get attached(): Attached | undefined {
    return this.#attached
  }

  /** What the engine is being asked to serve; `fd` is ours from now on. @returns what to do if it will not */
  expect(attached: Attached): { refused(): void } {
    this.#open.add(attached)
    if (this.#attached === undefined) this.#attached = attached
    else if (this.#next === undefined) this.#next = attached
    return {
      refused: () => {
        if (this.#attached === attached) return this.letGo()
        if (this.#next === attached) this.#next = undefined
        this.#close(attached)
      },
    }
  }

  /** What is attached is so no more. */
  letGo(): void {
    if (this.#attached !== undefined) this.#close(this.#attached)
    this.#attached = this.#next
    this.#next = undefined
    this.route = 'native'
  }

  /** Once: what is refused may have been let go before, with the last engine. */
  #close(attached: Attached): void {
    if (this.#open.delete(attached)) closeSync(attached.fd)
  }
}

/** The body of ENGINE_ATTACH; the descriptor goes along. */
export const attachRequest = ({ kind, flags }: Pick<Attached, 'kind' | 'flags'>): Buffer =>
  attachReq.encode({ kind: ATTACH_KIND[kind], flags }, BIG)

/** The body of ENGINE_SET_PROFILE. */
export function profileRequest(profile: string): Buffer {
  const json = Buffer.from(profile)
  return setProfileReq.encode({ length: json.length, json }, BIG)
}
