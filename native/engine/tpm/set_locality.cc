#include "engine/tpm/set_locality.h"

namespace swtpm {
namespace {

constexpr uint32_t kSetLocalityCode = 0x20001000;

}  // namespace

bool is_set_locality(ByteView command) {
  return message_code(command.data()) == kSetLocalityCode;
}

SetLocalityVerdict judge_set_locality(ByteView command, const LocalityPolicy& policy, uint8_t& locality) {
  if (command.size() <= kTpmHeaderSizeBytes) return SetLocalityVerdict::kTooShort;
  if (!policy.allow_set_locality) return SetLocalityVerdict::kForbidden;
  uint8_t wanted = command[kTpmHeaderSizeBytes];
  if (!policy.permits(wanted)) return SetLocalityVerdict::kWrongLocality;
  locality = wanted;
  return SetLocalityVerdict::kObeyed;
}

}  // namespace swtpm
