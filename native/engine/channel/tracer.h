// TPM commands and responses as TRACE events, for `--pcap` and the log.
#pragma once

#include <time.h>

#include "engine/channel/channel.h"

namespace swtpm {

class Tracer {
 public:
  explicit Tracer(Channel& channel) : channel_(channel) {}

  void command(ByteView bytes) { trace(kCommand, bytes); }
  void response(ByteView bytes) { trace(kResponse, bytes); }

 private:
  enum Direction : uint32_t { kCommand = 0, kResponse = 1 };

  // u32 direction, u64 time in µs since 1970, the bytes.
  void trace(Direction direction, ByteView bytes) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    Bytes payload(12);
    store_be32(payload.data(), direction);
    auto time_us = static_cast<uint64_t>(now.tv_sec) * 1000000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
    store_be64(payload.data() + 4, time_us);
    payload.insert(payload.end(), bytes.begin(), bytes.end());
    channel_.event(wire::Event::kTrace, payload);
  }

  Channel& channel_;
};

}  // namespace swtpm
