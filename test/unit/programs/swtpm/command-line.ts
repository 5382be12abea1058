/** Command lines as people write them, for the tests of this folder. */
import assert from 'node:assert/strict'
import { CommandLineError } from '../../../../src/command-line/exit/command-line-error.ts'
import { isInterface, parseCommandLine } from '../../../../src/command-line/parse/parse-command-line.ts'
import type {
  ChardevConfig,
  CommandLine,
  CuseConfig,
  Interface,
  SocketConfig,
} from '../../../../src/serve/config.ts'

type Environment = { readonly [name: string]: string }

/** Words of a line; single quotes keep blanks and everything else together. */
export function words(line: string): string[] {
  return Array.from(line.matchAll(/(?:'[^']*'|[^\s'])+/g), ([word]) => word.replaceAll("'", ''))
}

function split(line: string): { iface: Interface; argv: string[] } {
  const [program, iface, ...argv] = words(line)
  assert.equal(program, 'swtpm')
  assert.ok(isInterface(iface))
  return { iface, argv }
}

/** What a line like `swtpm socket --tpm2` asks for. */
export function parse(line: string, env: Environment = {}): CommandLine {
  const { iface, argv } = split(line)
  return parseCommandLine(argv, env, iface)
}

export function parseSocket(line: string, env?: Environment): SocketConfig {
  const result = parse(`swtpm socket ${line}`, env)
  assert.ok(result.action === 'run' && result.interface === 'socket')
  return result
}

export function parseChardev(line: string, env?: Environment): ChardevConfig {
  const result = parse(`swtpm chardev ${line}`, env)
  assert.ok(result.action === 'run' && result.interface === 'chardev')
  return result
}

export function parseCuse(line: string, env?: Environment): CuseConfig {
  const result = parse(`swtpm cuse ${line}`, env)
  assert.ok(result.action === 'run' && result.interface === 'cuse')
  return result
}

/** The fault of a line that must be refused. */
export function refusal(line: string, env: Environment = {}): { message: string; exitCode: number } {
  const { iface, argv } = split(line)
  try {
    parseCommandLine(argv, env, iface)
  } catch (error) {
    assert.ok(error instanceof CommandLineError, String(error))
    return { message: error.message, exitCode: error.exitCode(iface) }
  }
  assert.fail(`accepted: ${line}`)
}

/** Checks the named members, however deep, and lets the others be. */
export function assertHas(actual: unknown, expected: object): void {
  assert.deepEqual(pick(actual, expected), expected)
}

function pick(actual: unknown, expected: unknown): unknown {
  if (!isObject(actual) || !isObject(expected)) return actual
  return Object.fromEntries(Object.keys(expected).map((key) => [key, pick(actual[key], expected[key])]))
}

function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
