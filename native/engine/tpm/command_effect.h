// What a TPM command may do to the TPM, as far as that can be told before it runs. It decides what the
// checkpoint must hold before the response is given.
#pragma once

#include "common/bytes.h"
#include "engine/tpm/message.h"

namespace swtpm {

enum class CommandEffect {
  // Its response does not depend on what libtpms may store meanwhile: its clock now and then, or a failed
  // authorization.
  kReads,
  // Repeated on the same state it has the same effect: it involves no random number, no time and no session.
  kRepeatable,
  kModifies,
};

struct CommandNature {
  CommandEffect effect = CommandEffect::kModifies;
  // It takes the TPM some microseconds, too few to be cancelled in.
  bool is_short = false;
};

// The command may be any bytes. One that is not known modifies, and is not short.
CommandNature nature_of(TpmVersion version, ByteView command);

}  // namespace swtpm
