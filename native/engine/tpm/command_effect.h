// What a TPM command may do to the TPM, as far as that can be told before it runs: what has to be taken down
// before its answer is given, for a way back and for an engine that comes after this one.
#pragma once

#include "common/bytes.h"
#include "engine/tpm/message.h"

namespace swtpm {

enum class CommandEffect {
  // Its answer is right whether or not anything is stored along with it: the clock, which libtpms stores now
  // and then, or a failed authorization.
  kReads,
  // Repeated on the same state it does the same again: neither randomness nor time nor a session is part of
  // it.
  kRepeatable,
  kModifies,
};

struct CommandNature {
  CommandEffect effect = CommandEffect::kModifies;
  // It takes the TPM some microseconds, in which nobody could cancel it.
  bool is_short = false;
};

// The command may be anything. Where nothing is known of it, it modifies, and is not short.
CommandNature nature_of(TpmVersion version, ByteView command);

}  // namespace swtpm
