/** What the TPM at hand can do, from its --print-capabilities. */
import { ToolFailure } from '../common/tool-failure.ts'
import type { TpmCommandLine } from './tpm-command-line.ts'

export class TpmFeatures {
  readonly #features: readonly string[]
  readonly profiles: readonly string[]

  constructor(json: string) {
    const parsed = JSON.parse(json) as { features?: unknown; profiles?: { names?: unknown } }
    this.#features = strings(parsed.features)
    this.profiles = strings(parsed.profiles?.names)
  }

  /** @throws ToolFailure when the program does not answer as swtpm does */
  static of(command: TpmCommandLine, tpm2: boolean): TpmFeatures {
    const output = command.output(['--print-capabilities', ...(tpm2 ? ['--tpm2'] : [])])
    try {
      return new TpmFeatures(output)
    } catch (error) {
      throw new ToolFailure(
        `${command.words.join(' ')} --print-capabilities printed no capabilities: "${output.trim()}"; is it swtpm?`,
        { cause: error },
      )
    }
  }

  has(feature: string): boolean {
    return this.#features.includes(feature)
  }

  /** The sizes of RSA keys that can be made, smallest first; 2048 when the TPM names none. */
  get rsaKeySizes(): readonly number[] {
    const sizes = this.#features.flatMap((feature) => {
      const bits = /^rsa-keysize-(\d+)$/.exec(feature)?.[1]
      return bits === undefined ? [] : [Number(bits)]
    })
    return sizes.length === 0 ? [2048] : sizes.sort((a, b) => a - b)
  }
}

const strings = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []
