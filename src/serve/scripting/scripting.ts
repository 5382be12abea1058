/** The scripts of one TPM: its responders, and the faults of the command line. */
import { FaultList } from '../../responders/fault.ts'
import { type Mode, parseMode } from '../../responders/modes/mode-table.ts'
import type { Responder } from '../../responders/responder.ts'
import { ResponderStack } from '../../responders/stack.ts'
import type { TpmControl } from '../../responders/tpm-control.ts'
import { SwtpmError } from '../../system/errors.ts'
import type { Tpm } from '../../tpm/tpm.ts'
import type { ScriptConfig, TpmVersion } from '../config.ts'
import { interceptCommands } from './intercept.ts'

const DEFAULT_SEED = 0

export class Scripting {
  readonly responders: ResponderStack
  readonly faults: FaultList
  readonly #tpm: Tpm
  readonly #modes: readonly Mode[]
  /** Settles when the engine does what was last asked of it. */
  #settled: Promise<void> = Promise.resolve()

  /**
   * Nothing is intercepted until there is a responder, and {@link begin} was called.
   * @param bottom answers in place of the TPM
   * @throws RuleError; SwtpmError: not a mode of this TPM
   */
  constructor(
    tpm: Tpm,
    control: TpmControl,
    { faults, modes = [], faultSeed }: ScriptConfig,
    bottom?: { readonly text: string; readonly responder: Responder },
  ) {
    this.#tpm = tpm
    this.responders = new ResponderStack({
      version: tpm.version,
      tpm: control,
      seed: faultSeed ?? DEFAULT_SEED,
    })
    if (bottom !== undefined) this.responders.on('*', bottom.responder, bottom.text)
    this.#modes = modes.map((text) => modeOf(text, tpm.version))
    for (const { name, value, row } of this.#modes)
      if (row.responder !== undefined)
        this.responders.on('*', row.responder(value, this.responders.random()), `mode ${name}`)
    this.faults = new FaultList(this.responders)
    for (const rule of faults) this.faults.add(rule)
    interceptCommands(tpm.engine, this.responders)
  }

  /** Whether something is to be brought about in the TPM itself. */
  get needsTpm(): boolean {
    return this.#modes.some(({ row }) => row.responder === undefined)
  }

  /** Brings that about in a TPM that is on. @param started whether it was sent Startup @throws SwtpmError SWTPM_ERR_SCRIPT */
  async bringAbout(started: boolean): Promise<void> {
    const { bringAbout } = await import('./modes/real-modes.ts')
    await bringAbout(
      this.#tpm,
      this.#modes.filter(({ row }) => row.responder === undefined),
      started,
    )
  }

  /** Has the engine show commands, while there is anybody to see them. @throws SwtpmError */
  async begin(): Promise<void> {
    const follow = (active: boolean): void => {
      this.#settled = this.#tpm.engine.intercept(active)
      // Who waits for it is told; an engine that has gone needs no telling.
      this.#settled.catch(() => {})
    }
    this.responders.onActive = follow
    if (this.responders.active) follow(true)
    await this.#settled
  }

  /** From the next command on, the responders that are there now are asked. @throws SwtpmError: the engine has gone */
  get settled(): Promise<void> {
    return this.#settled
  }
}

/** @throws SwtpmError SWTPM_ERR_SCRIPT */
function modeOf(text: string, version: TpmVersion): Mode {
  const mode = parseMode(text)
  if (mode.row.version === undefined || mode.row.version === version) return mode
  const needed =
    mode.row.version === '2'
      ? '2.0; give --tpm2 (swtpm run: no --tpm12)'
      : '1.2; leave --tpm2 out (swtpm run: give --tpm12)'
  throw new SwtpmError('SWTPM_ERR_SCRIPT', `Cannot use --mode ${text}: it is one of a TPM ${needed}`)
}
