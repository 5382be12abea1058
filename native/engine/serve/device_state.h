// The attached device as its clients see it. It lies in the shared state, so an engine that takes over
// continues with the client, the response and the requests of the one that died. What read() returns is put
// here, too: an engine may be killed inside read() after it was given a request, and before it could look at
// it.
//
// Written by the loop that serves the device. Plain data: mapping the memory is enough for it to exist.
#pragma once

#include <array>
#include <cstdint>

#include "common/shared_atomic.h"
#include "generated/contract.h"

namespace swtpm {

struct DeviceState {
  static constexpr size_t kPrefixSizeBytes = wire::kTpmPrefixSizeBytes;
  // The 64 KiB that CUSE_INIT offers as max_write, with room for the headers, twice over.
  static constexpr size_t kFuseRequestBytes = 132 * 1024;

  // CUSE: the number of the last request that was read. The supervisor reads it
  // (wire::kSharedStateLastUniqueOffset).
  SharedAtomic<uint64_t> last_unique;
  SharedAtomic<uint32_t> in_flight;       // a command has been read and not been answered
  SharedAtomic<uint32_t> open;            // CUSE: a client has the device open
  SharedAtomic<uint32_t> current_opcode;  // CUSE: of the request that is being handled, or 0
  SharedAtomic<uint32_t> unread_offset;   // CUSE: the part of `response` that has not been read yet
  SharedAtomic<uint32_t> unread_end;
  uint8_t response[wire::kTpmBufferSizeBytes];
  std::array<uint8_t, kPrefixSizeBytes + wire::kTpmBufferSizeBytes> message;  // not CUSE
  std::array<uint8_t, kFuseRequestBytes> fuse_requests[2];                    // one for each thread

  // For a device that no engine has served before.
  void clear();
};

}  // namespace swtpm
