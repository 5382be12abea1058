/** `swtpm state` as a user runs it. */
import { spawnSync } from 'node:child_process'
import { bin } from './swtpm.ts'

export interface Said {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export function runState(...args: readonly string[]): Said {
  const { status, stdout, stderr } = spawnSync(bin('swtpm'), ['state', ...args], { encoding: 'utf8' })
  return { status, stdout, stderr }
}

/** What `show --json` tells. */
export interface ShownState {
  readonly place: { readonly kind: string; readonly usedBy?: number }
  readonly tpmVersion?: string
  readonly states: readonly {
    readonly name: string
    readonly type?: string
    readonly from: string
    readonly encryption?: { readonly file?: string; readonly migration?: string }
  }[]
  readonly contents?: {
    readonly asOf: string
    readonly nv: readonly {
      readonly index: string
      readonly bytes: number
      readonly attributes: readonly string[]
    }[]
    readonly persistent: readonly { readonly handle: string; readonly type: string; readonly name: string }[]
    readonly pcrBanks: readonly {
      readonly algorithm: string
      readonly active: boolean
      readonly values?: Readonly<Record<string, string>>
    }[]
    readonly authorizationSet: Readonly<Record<string, boolean>>
    readonly lockout?: { readonly failures: number }
  }
  readonly faults: readonly { readonly kind: string; readonly text: string }[]
}

export const shown = (...args: readonly string[]): ShownState =>
  JSON.parse(runState('show', '--json', ...args).stdout)
