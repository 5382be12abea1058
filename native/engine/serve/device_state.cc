#include "engine/serve/device_state.h"

#include <linux/fuse.h>

#include <cstring>

namespace swtpm {

void DeviceState::clear() {
  for (auto* number : {&in_flight, &open, &current_opcode, &unread_offset, &unread_end}) number->store(0);
  // A message or request of length 0 is none.
  memset(message.data(), 0, kPrefixSizeBytes);
  for (auto& request : fuse_requests) memset(request.data(), 0, sizeof(fuse_in_header));
}

}  // namespace swtpm
