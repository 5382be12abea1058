/** The keeper's part of the contract as a C++ header, native/generated/keeper.h. The keeper does without the C++ library. */
import * as keeper from '../keeper.ts'
import { constantName } from './cpp-names.ts'

const constants = (prefix: string, values: Readonly<Record<string, number>>): string =>
  Object.entries(values)
    .map(([name, value]) => `inline constexpr uint32_t ${constantName(`${prefix}_${name}`)} = ${value};`)
    .join('\n')

export function keeperHeader(): string {
  return `// Made from contract/keeper.ts by \`npm run contract\`; do not edit.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace swtpm::wire {

inline constexpr char kKeeperFdVariable[] = "${keeper.KEEPER_FD_VARIABLE}";
inline constexpr size_t kMaxKeeperMessageBytes = ${keeper.MAX_KEEPER_MESSAGE_BYTES};
inline constexpr size_t kMaxKeeperFds = ${keeper.MAX_KEEPER_FDS};

// What Node asks.
${constants('ask', keeper.KEEPER_REQUESTS)}

// What the keeper says.
${constants('say', keeper.KEEPER_EVENTS)}

${constants('confine', keeper.KEEPER_CONFINE)}

${constants('rest', keeper.KEEPER_REST)}

}  // namespace swtpm::wire
`
}
