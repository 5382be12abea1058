// The commands by which QEMU tells whether a TPM is of version 2.0 or 1.2: TPM2_ReadClock and TPM_GetTicks.
// It sends both before INIT, and looks at no more than the tag of the answers.
#pragma once

#include "engine/tpm/message.h"

namespace swtpm {

inline bool is_version_probe(ByteView command) {
  constexpr uint32_t kTpm2CcReadClock = 0x181;
  constexpr uint32_t kTpmOrdGetTicks = 0xf1;
  if (command.size() != kTpmHeaderSizeBytes) return false;
  uint32_t code = message_code(command.data());
  return code == kTpm2CcReadClock || code == kTpmOrdGetTicks;
}

}  // namespace swtpm
