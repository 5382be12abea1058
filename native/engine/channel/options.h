// The command line of tpm-engine. Written by the supervisor, never by a user, so the parsing is strict and
// plain.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "engine/tpm/message.h"

namespace swtpm {

enum class Backend { kDir, kLinear };
enum class SeccompAction { kNone, kLog, kKill };

struct Options {
  TpmVersion version = TpmVersion::k12;
  Backend backend = Backend::kDir;
  mode_t mode = 0640;
  bool mode_given = false;
  bool sync = true;
  bool backup = false;
  bool journal = false;
  bool allow_set_locality = false;
  bool reject_locality_4 = false;
  bool auto_shutdown = true;
  unsigned log_level = 0;
  std::string log_prefix;
  SeccompAction seccomp = SeccompAction::kNone;
  bool trace = false;
  std::optional<uint64_t> print_info;
};

// Nothing, after a message to stderr, if there is anything it does not know.
std::optional<Options> parse_options(int argc, char** argv);

}  // namespace swtpm
