/** The contract as a C++ header, native/generated/contract.h. */
import {
  ATTACH_FLAG,
  ATTACH_KIND,
  COMMAND_GONE,
  ENGINE_FDS,
  FRAME_KIND,
  frameHeader,
  KEY_SLOT,
  LOCALITY_CURRENT,
  REFUSED_CRYPTO,
  ROUTE,
  SPAWN_FLAG,
  VERDICT,
} from '../engine-channel.ts'
import { ENGINE_EVENTS, SPAWNER_EVENTS } from '../engine-events.ts'
import {
  BACKENDS,
  ENGINE_OPTIONS,
  type EngineOption,
  SECCOMP_ACTIONS,
  TPM_VERSIONS,
} from '../engine-options.ts'
import { ENGINE_REQUESTS, type EngineRequest, SPAWNER_REQUESTS } from '../engine-requests.ts'
import * as limits from '../limits.ts'
import { STATE_BLOBS } from '../state-blobs.ts'
import * as stateFormat from '../state-format.ts'
import * as results from '../tpm-result.ts'
import * as verbStructures from '../verb-structures.ts'
import { controlCode, VERBS, type Verb, type VerbName, verbNames } from '../verbs.ts'
import { constantName, memberName } from './cpp-names.ts'

const hex = (value: number): string => `0x${value.toString(16)}`

const numbersOf = (module: object): [string, number][] =>
  Object.entries(module).filter((entry): entry is [string, number] => typeof entry[1] === 'number')

function enumeration(
  name: string,
  members: readonly (readonly [string, number])[],
  type = 'uint32_t',
): string {
  const rows = members.map(([member, value]) => `  ${constantName(member)} = ${hex(value)},`)
  return `enum class ${name} : ${type} {\n${rows.join('\n')}\n};\n`
}

const members = (values: Readonly<Record<string, number>>): [string, number][] => Object.entries(values)

/** Bits that are put together with `|`, so no class. */
const flags = (prefix: string, values: Readonly<Record<string, number>>): string =>
  Object.entries(values)
    .map(([name, value]) => `inline constexpr uint32_t ${constantName(`${prefix}_${name}`)} = ${value};`)
    .join('\n')

/** `2` is TPM 2.0. */
const choiceName = (choice: string): string =>
  choice === '2' ? 'k20' : constantName(choice.replace('.', ''))

function choiceEnumeration(name: string, choices: readonly string[]): string {
  const rows = choices.map((choice) => `    {"${choice}", ${name}::${choiceName(choice)}},`)
  return `enum class ${name} { ${choices.map(choiceName).join(', ')} };
inline constexpr Choice<${name}> k${name}Choices[] = {\n${rows.join('\n')}\n};\n`
}

function optionMember([name, option]: [string, EngineOption]): string {
  const member = memberName(name)
  switch (option.kind) {
    case 'enum':
      return `  ${option.cpp} ${member}{};`
    case 'octal':
      return `  unsigned ${member} = 0${option.default.toString(8)};`
    case 'decimal':
      return `  unsigned ${member} = ${option.default};`
    case 'switch':
      return `  bool ${member} = ${!option.when};`
    case 'text':
      return `  std::string ${member};`
  }
}

function optionRow([name, option]: [string, EngineOption]): string {
  const target = `&EngineOptions::${memberName(name)}`
  switch (option.kind) {
    case 'enum':
      return `  visit("${option.flag}", ${target}, k${option.cpp}Choices);`
    case 'octal':
      return `  visit("${option.flag}", ${target}, NumberRule{8, 0${option.max.toString(8)}});`
    case 'decimal':
      return `  visit("${option.flag}", ${target}, NumberRule{10, ${option.max}});`
    case 'switch':
      return `  visit("${option.flag}", ${target}, ${option.when});`
    case 'text':
      return `  visit("${option.flag}", ${target});`
  }
}

interface Row extends Pick<EngineRequest, 'req' | 'when' | 'urgent'> {
  readonly name: string
  readonly code: number
}

/** The verbs that the engine executes, then the private requests. */
export const engineRows: readonly Row[] = [
  ...verbNames
    .map((name): [VerbName, Verb] => [name, VERBS[name]])
    .filter(([, { supervisorOnly }]) => !supervisorOnly)
    .map(([name, verb]) => ({ ...verb, name, code: controlCode(name) })),
  ...Object.entries(ENGINE_REQUESTS).map(([name, request]) => ({ ...(request as EngineRequest), name })),
]

const privateNames = new Set(Object.keys(ENGINE_REQUESTS))

function requestRow({ name, req, when, urgent }: Row): string {
  const run = { any: 'kAnyTime', running: 'kRunning', stopped: 'kStopped' }[when]
  // A verb's trailing array is bounded by the frame alone: on the engine channel a state blob comes whole.
  const trails = req.fixedSize < req.size && req.fields.some(({ bytes }) => bytes)
  const most =
    trails && !privateNames.has(name)
      ? 'kMaxRequestBodyBytes'
      : Math.min(req.size, limits.MAX_REQUEST_BODY_BYTES)
  return `    {Code::${constantName(name)}, When::${run}, ${urgent ?? false}, ${req.fixedSize}, ${most}},`
}

export function cppHeader(): string {
  const options = Object.entries(ENGINE_OPTIONS) as [string, EngineOption][]
  return `// Made from contract/*.ts by \`npm run contract\`; do not edit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace swtpm {

// TPM 1.2 Part 2, 16, also the results of all PTM verbs; TPM 2.0 Part 2, 6.6.
using TpmResult = uint32_t;
${numbersOf(results)
  .map(([name, value]) => `inline constexpr TpmResult ${constantName(name)} = ${hex(value)};`)
  .join('\n')}

// One of the values that an option or a verb takes.
template <typename T>
struct Choice {
  std::string_view name;
  T value;
};

${choiceEnumeration('TpmVersion', TPM_VERSIONS)}
${choiceEnumeration('Backend', BACKENDS)}
${choiceEnumeration('SeccompAction', SECCOMP_ACTIONS)}
// The parts of a TPM's state, by their numbers in the PTM verbs and by libtpms's names.
${enumeration(
  'BlobType',
  Object.entries(STATE_BLOBS).map(([name, { type }]) => [name, type] as const),
)}
inline constexpr Choice<BlobType> kBlobTypes[] = {
${Object.entries(STATE_BLOBS)
  .map(([name, { name: text }]) => `    {"${text}", BlobType::${constantName(name)}},`)
  .join('\n')}
};

// A key is for the state files or for migration.
${enumeration('KeySlot', members(KEY_SLOT))}
// The command line of tpm-engine.
struct EngineOptions {
${options.map(optionMember).join('\n')}
};

struct NumberRule {
  int base;
  uint64_t max;
};

// Calls visit(name, member, rule) for each option. The rule is a list of choices, a NumberRule, the value that a
// switch sets, or nothing for text.
template <typename Visit>
void visit_engine_options(Visit visit) {
${options.map(optionRow).join('\n')}
}

namespace wire {

// Bounds and sizes.
${numbersOf(limits)
  .map(([name, value]) => `inline constexpr uint32_t ${constantName(name)} = ${value};`)
  .join('\n')}

// How a state is kept.
${numbersOf(stateFormat)
  .map(([name, value]) => `inline constexpr uint32_t ${constantName(name)} = ${value};`)
  .join('\n')}
${flags('blob', stateFormat.BLOB_FLAG)}
${enumeration('BlobTag', members(stateFormat.BLOB_TAG), 'uint16_t')}
// Inherited descriptors.
${Object.entries(ENGINE_FDS)
  .map(([name, fd]) => `inline constexpr int ${constantName(`${name}_fd`)} = ${fd};`)
  .join('\n')}
inline constexpr unsigned kFirstStrayFd = ${Math.max(...Object.values(ENGINE_FDS)) + 1};

// u32 length of the body, u32 kind, u32 id.
inline constexpr size_t kFrameHeaderSizeBytes = ${frameHeader.size};
${enumeration('FrameKind', members(FRAME_KIND))}
// What a request asks for. Verbs: swtpm_ioctls(3), ioctl number + 1.
${enumeration('Code', [
  ...engineRows.map(({ name, code }) => [name, code] as const),
  ...Object.entries(SPAWNER_REQUESTS).map(([name, { code }]) => [name, code] as const),
])}
${enumeration('Event', [
  ...Object.entries(ENGINE_EVENTS).map(([name, { type }]) => [name, type] as const),
  ...Object.entries(SPAWNER_EVENTS).map(([name, { type }]) => [name, type] as const),
])}
// The run state that a request needs.
enum class When { kAnyTime, kRunning, kStopped };

struct Request {
  Code code;
  When when;
  bool urgent;      // executed by the thread that reads the channel
  size_t min_body;  // bytes after the code
  size_t max_body;
};

// What an engine executes.
inline constexpr Request kRequests[] = {
${engineRows.map(requestRow).join('\n')}
};

${enumeration('AttachKind', members(ATTACH_KIND))}
${flags('attach', ATTACH_FLAG)}
${flags('spawn', SPAWN_FLAG)}
${flags('refused', REFUSED_CRYPTO)}

${enumeration('Route', members(ROUTE))}
${enumeration('Verdict', members(VERDICT))}
${enumeration('CommandGone', members(COMMAND_GONE))}
inline constexpr uint8_t kLocalityCurrent = ${hex(LOCALITY_CURRENT)};

// Flags of PTM verbs.
${numbersOf(verbStructures)
  .filter(([name]) => /_FLAG_/.test(name))
  .map(([name, value]) => `inline constexpr uint32_t ${constantName(name)} = ${value};`)
  .join('\n')}

}  // namespace wire
}  // namespace swtpm
`
}
