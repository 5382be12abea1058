// The command line of tpm-engine. Written by the supervisor, never by a user, so the parsing is strict and
// plain.
#pragma once

#include <optional>

#include "generated/contract.h"

namespace swtpm {

struct Options : EngineOptions {
  // TPMLIB_GetInfo flags: print what libtpms says, and end.
  std::optional<uint64_t> print_info;
};

// Nothing, after a message to stderr, if there is anything it does not know.
std::optional<Options> parse_options(int argc, char** argv);

}  // namespace swtpm
