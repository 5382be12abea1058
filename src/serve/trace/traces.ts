/** `--trace`, `--record` and `--pcap`: what passes between clients and the TPM, in files. */
import type { EngineClient } from '../../engine-client/engine-client.ts'
import type { Exchange } from '../../responders/exchange.ts'
import type { CommonConfig } from '../config.ts'
import type { Trace, WholeExchange } from './trace.ts'

export class Traces {
  readonly #traces: readonly Trace[]

  private constructor(traces: readonly Trace[]) {
    this.#traces = traces
  }

  /** Loads what is needed after a change of the root directory, when it would not be found any more. */
  static async load({ trace, record, pcap }: CommonConfig): Promise<void> {
    if (trace !== undefined) await loadTraceFile()
    if (record !== undefined) await loadRecorder()
    if (pcap !== undefined) await loadPcapFile()
  }

  /** @param source what is recorded, in words @throws SwtpmError */
  static async open(
    { trace, record, pcap, tpmVersion }: CommonConfig,
    engine: EngineClient,
    source: string,
  ): Promise<Traces> {
    const opened: Trace[] = []
    const traces = new Traces(opened)
    try {
      if (trace !== undefined) opened.push(new (await loadTraceFile()).TraceFile(trace))
      if (record !== undefined) opened.push(new (await loadRecorder()).Recorder(record, tpmVersion, source))
      if (pcap !== undefined) opened.push(new (await loadPcapFile()).PcapFile(pcap))
    } catch (error) {
      traces.close()
      throw error
    }
    for (const each of opened) engine.on('trace', (...message) => each.record(...message))
    return traces
  }

  struck({ received, signal }: Exchange, fault: string): void {
    // One that goes on although nobody waits any more is none of the command that is at work now.
    if (!signal.aborted) for (const each of this.#traces) each.struck(fault, received)
  }

  whole(exchange: WholeExchange): void {
    for (const each of this.#traces) each.whole(exchange)
  }

  close(): void {
    for (const each of this.#traces) each.close()
  }
}

const loadTraceFile = () => import('./trace-file.ts')
const loadPcapFile = () => import('./pcap-file.ts')
const loadRecorder = () => import('./recorder.ts')
