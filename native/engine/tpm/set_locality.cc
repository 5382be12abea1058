#include "engine/tpm/set_locality.h"

namespace swtpm {
namespace {

constexpr uint32_t kSetLocalityCode = 0x20001000;

}  // namespace

bool is_set_locality(ByteView command) {
  return message_code(command.data()) == kSetLocalityCode;
}

TpmResult judge_set_locality(ByteView command, TpmVersion version, const LocalityPolicy& policy,
                             uint8_t& locality) {
  if (command.size() <= kTpmHeaderSizeBytes) return insufficient_code(version);
  if (!policy.allow_set_locality) return failure_code(version);
  uint8_t wanted = command[kTpmHeaderSizeBytes];
  if (!policy.permits(wanted)) return locality_code(version);
  locality = wanted;
  return kTpmSuccess;
}

}  // namespace swtpm
