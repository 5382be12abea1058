/** The scripts of one TPM: its responders, and the faults of the command line. */
import { FaultList } from '../../responders/fault.ts'
import type { Responder } from '../../responders/responder.ts'
import { ResponderStack } from '../../responders/stack.ts'
import type { TpmControl } from '../../responders/tpm-control.ts'
import type { Tpm } from '../../tpm/tpm.ts'
import type { ScriptConfig } from '../config.ts'
import { interceptCommands } from './intercept.ts'

const DEFAULT_SEED = 0

export class Scripting {
  readonly responders: ResponderStack
  readonly faults: FaultList
  readonly #tpm: Tpm
  /** Settles when the engine does what was last asked of it. */
  #settled: Promise<void> = Promise.resolve()

  /**
   * Nothing is intercepted until there is a responder, and {@link begin} was called.
   * @param bottom answers in place of the TPM
   * @throws RuleError
   */
  constructor(
    tpm: Tpm,
    control: TpmControl,
    { faults, faultSeed }: ScriptConfig,
    bottom?: { readonly text: string; readonly responder: Responder },
  ) {
    this.#tpm = tpm
    this.responders = new ResponderStack({
      version: tpm.version,
      tpm: control,
      seed: faultSeed ?? DEFAULT_SEED,
    })
    if (bottom !== undefined) this.responders.on('*', bottom.responder, bottom.text)
    this.faults = new FaultList(this.responders)
    for (const rule of faults) this.faults.add(rule)
    interceptCommands(tpm.engine, this.responders)
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
