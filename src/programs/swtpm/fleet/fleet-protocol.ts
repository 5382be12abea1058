/**
 * What `swtpm fleet add|remove|list` says to the fleet: a request and an answer, each a line of JSON in UTF-8. A client may
 * send one request after another; they are answered in order.
 */

import type { Interface } from '../../../serve/config.ts'
import { jsonObject } from '../../../system/json-object.ts'

/** Longest line, the newline not counted: a description with paths of 4096 bytes has room in it. */
export const MAX_LINE_BYTES = 64 * 1024

export type FleetRequest =
  | {
      readonly verb: 'add'
      readonly name: string
      /** What would stand behind `swtpm`. */
      readonly words: readonly string[]
      /** Absolute; relative paths begin here. Null: the client has none any more, and there can be no relative paths. */
      readonly directory: string | null
    }
  | { readonly verb: 'remove'; readonly name: string }
  | { readonly verb: 'list' }

/** Where a TPM is in its life. One that a client has removed is no longer listed. */
export type TpmState = 'starting' | 'running' | 'ending' | 'failed'

export interface TpmStatus {
  readonly name: string
  readonly state: TpmState
  readonly interface: Interface
  /** Its device, or the socket for its commands. */
  readonly address?: string
  /** Its control channel's socket. */
  readonly control?: string
  /** Path of its state. */
  readonly tpmstate: string
  /** It keeps no secrets: `--seed-insecure`. */
  readonly insecureSeed?: number
  /** Process id of its engine. */
  readonly engine?: number
  /** Why it is in state `failed`. */
  readonly failure?: string
}

export type FleetAnswer =
  /** `tpms`: the one that was added, or all of them. */
  { readonly ok: true; readonly tpms: readonly TpmStatus[] } | { readonly ok: false; readonly error: string }

/** Without its newline. */
export const encodeLine = (message: FleetRequest | FleetAnswer): string => JSON.stringify(message)

/** @throws Error saying what is wrong with the line */
export function decodeRequest(line: string): FleetRequest {
  const request = jsonObject(line)
  const { verb, name, words, directory } = request
  switch (verb) {
    case 'list':
      return { verb }
    case 'remove':
      if (typeof name !== 'string') throw new Error('"remove" needs a "name"')
      return { verb, name }
    case 'add':
      if (typeof name !== 'string') throw new Error('"add" needs a "name"')
      if (!Array.isArray(words) || !words.every((word) => typeof word === 'string'))
        throw new Error('"add" needs "words", a list of strings')
      if (directory !== null && (typeof directory !== 'string' || !directory.startsWith('/')))
        throw new Error('"add" needs a "directory", an absolute path')
      return { verb, name, words, directory }
    default:
      throw new Error(`"verb" is ${JSON.stringify(verb)}; it can be "add", "remove" or "list"`)
  }
}

/** @throws Error when it is not an answer */
export function decodeAnswer(line: string): FleetAnswer {
  const answer = jsonObject(line)
  if (answer.ok === true && Array.isArray(answer.tpms)) return { ok: true, tpms: answer.tpms }
  if (answer.ok === false && typeof answer.error === 'string') return { ok: false, error: answer.error }
  throw new Error('it is not an answer of a fleet')
}
