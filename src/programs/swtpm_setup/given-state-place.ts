/** The place that --tpm-state names. */
import { LinearStatePlace } from './linear-state-place.ts'
import { StateDirectoryPlace } from './state-directory-place.ts'
import type { StatePlace } from './state-place.ts'

/** @param text a directory, `dir://…` or `file://…` */
export function statePlace(text: string): StatePlace {
  const [, scheme = 'dir', path = text] = /^(dir|file):\/\/([\s\S]*)$/.exec(text) ?? []
  return scheme === 'dir' ? new StateDirectoryPlace(path) : new LinearStatePlace(path)
}
