// The in-band SetLocality command of the vTPM proxy driver (linux/vtpm_proxy.h): command code 0x20001000 and
// one byte, with TPM 2.0 and TPM 1.2 alike. This file only recognises and judges it; Tpm keeps the locality.
#pragma once

#include "engine/tpm/message.h"

namespace swtpm {

struct LocalityPolicy {
  bool allow_set_locality = false;  // accept the in-band command at all
  bool reject_locality_4 = false;

  bool permits(uint8_t locality) const { return locality < 4 || (locality == 4 && !reject_locality_4); }
};

// The command is complete up to its header.
bool is_set_locality(ByteView command);

enum class SetLocalityVerdict { kObeyed, kTooShort, kForbidden, kWrongLocality };

// kObeyed: `locality` is what was asked for.
SetLocalityVerdict judge_set_locality(ByteView command, const LocalityPolicy& policy, uint8_t& locality);

}  // namespace swtpm
