/** What a run of the benchmark has found. */
import type { Environment } from './environment.ts'
import type { LatencyResult } from './latency.ts'
import type { ManyMemory, ManyThroughput } from './many.ts'
import type { StartUp } from './start-up.ts'
import type { SystemCalls } from './system-calls.ts'

/** Where latencies were taken: here, or in the virtual machine with the instruction clock. */
export type Place = 'host' | 'vm'

export interface PlacedLatency extends LatencyResult {
  readonly place: Place
  readonly fileSystem: string
}

export interface Results {
  readonly commandLine: string
  readonly environment: Environment
  /** Whom ratios are to. */
  readonly baseline: string
  readonly latencies: PlacedLatency[]
  readonly systemCalls: SystemCalls[]
  readonly startUps: StartUp[]
  readonly memory: ManyMemory[]
  readonly throughput: ManyThroughput[]
}
