// TPM commands and responses as TRACE events, for `--pcap`, `--trace` and the log.
#pragma once

#include <time.h>

#include "engine/channel/channel.h"

namespace swtpm {

class Tracer {
 public:
  explicit Tracer(Channel& channel) : channel_(channel) {}

  void command(ByteView bytes, uint8_t locality) { trace(kCommand, locality, bytes); }
  void response(ByteView bytes) { trace(kResponse, 0, bytes); }

 private:
  enum Direction : uint32_t { kCommand = 0, kResponse = 1 };

  // u32 direction, u64 time in µs since 1970, u8 locality, the bytes.
  void trace(Direction direction, uint8_t locality, ByteView bytes) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    Bytes payload(13);
    store_be32(payload.data(), direction);
    auto time_us = static_cast<uint64_t>(now.tv_sec) * 1000000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
    store_be64(payload.data() + 4, time_us);
    payload[12] = locality;
    payload.insert(payload.end(), bytes.begin(), bytes.end());
    channel_.event(wire::Event::kTrace, payload);
  }

  Channel& channel_;
};

}  // namespace swtpm
