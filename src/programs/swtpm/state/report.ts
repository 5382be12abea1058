/** All that `swtpm state show` and `verify` tell of a stored TPM, as it is printed in JSON. */
import { BLOB_FLAG } from '../../../../contract/state-format.ts'
import { reasonOf } from '../../../system/reason.ts'
import type { StateKeys } from '../../../tpm/state/stored/state-blob.ts'
import { StateFault, type StateFaultKind } from '../../../tpm/state/stored/state-fault.ts'
import type { Place, StoredTpm } from '../../../tpm/state/stored/stored-tpm.ts'
import type { Contents } from './examine/contents.ts'
import { examine } from './examine/examine.ts'
import { encryptionOf, type LoadedState, loadStates, wipe } from './loaded-states.ts'
import { userOf } from './place-in-use.ts'

export interface StateReport {
  readonly name: string
  readonly type?: string
  readonly bytes: number
  readonly from: 'file' | 'journal'
  readonly header?: {
    readonly version: number
    readonly minimumVersion: number
    readonly flags: readonly string[]
  }
  /** Cipher of the state and of the migration; absent: in the clear. */
  readonly encryption?: { readonly file?: string; readonly migration?: string }
  readonly fault?: string
}

export interface Fault {
  readonly kind: StateFaultKind
  readonly text: string
}

export interface Report {
  readonly place: Place & { readonly usedBy?: number }
  readonly tpmVersion?: '2.0' | '1.2'
  readonly insecureSeed?: string
  readonly states: readonly StateReport[]
  readonly contents?: Contents
  /** Why there is not more; the worst comes first. */
  readonly faults: readonly Fault[]
}

/** Of what is damaged more is lost than of what has another key. */
const GRAVITY: readonly StateFaultKind[] = ['damaged', 'key', 'place']

export async function reportOf(stored: StoredTpm, keys: StateKeys): Promise<Report> {
  const states = loadStates(stored, keys)
  try {
    const faults: Fault[] = states.flatMap(({ fault }) => fault ?? []).map(asFault)
    const version = stored.version ?? states.find((state) => state.version !== undefined)?.version
    const permanent =
      plainOf(states, 'permanent') ?? (stored.place.kind === 'blob' ? plainOf(states, 'backup') : undefined)
    let contents: Contents | undefined
    if (permanent !== undefined && version !== undefined) {
      const volatile = plainOf(states, 'volatile')
      const savestate = plainOf(states, 'savestate')
      try {
        contents = await examine(version, {
          permanent,
          ...(volatile && { volatile }),
          ...(savestate && { savestate }),
        })
      } catch (error) {
        if (!(error instanceof StateFault)) throw error
        faults.push(asFault(error))
      }
    } else if (!states.some(({ blob, fault }) => blob.type === 'permanent' && fault !== undefined)) {
      faults.push({ kind: 'place', text: withoutPermanent(stored) })
    }
    const usedBy = userOf(stored.place)
    return {
      place: { ...stored.place, ...(usedBy !== undefined && { usedBy }) },
      ...(version !== undefined && { tpmVersion: version === '2' ? '2.0' : '1.2' }),
      ...(stored.insecureSeed !== undefined && { insecureSeed: stored.insecureSeed }),
      states: states.map(stateReport),
      ...(contents && { contents }),
      faults: faults.sort((a, b) => GRAVITY.indexOf(a.kind) - GRAVITY.indexOf(b.kind)),
    }
  } finally {
    wipe(states)
  }
}

const plainOf = (states: readonly LoadedState[], type: LoadedState['type']): Buffer | undefined =>
  states.find((state) => state.type === type)?.plain

const asFault = (fault: StateFault): Fault => ({ kind: fault.kind, text: reasonOf(fault) })

const withoutPermanent = ({ place }: StoredTpm): string =>
  place.kind === 'blob'
    ? 'The permanent state is not in it, and without it no TPM tells what it has'
    : `"${place.path}" has no permanent state: swtpm would not start on it`

function stateReport({ blob, container, type, fault }: LoadedState): StateReport {
  const encryption = container && encryptionOf(container)
  return {
    name: blob.name,
    ...(type !== undefined && { type }),
    bytes: blob.bytes.length,
    from: blob.from,
    ...(container && {
      header: {
        version: container.version,
        minimumVersion: container.minimumVersion,
        flags: Object.entries(BLOB_FLAG)
          .filter(([, flag]) => (container.flags & flag) !== 0)
          .map(([name]) => name.toLowerCase().replaceAll('_', '-')),
      },
    }),
    ...(encryption && Object.keys(encryption).length > 0 && { encryption }),
    ...(fault && { fault: reasonOf(fault) }),
  }
}
