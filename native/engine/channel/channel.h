// A framed channel to the supervisor: frames in and out of one Unix stream socket, with descriptors where
// some travel along. What the frames mean is the business of those who use it.
#pragma once

#include <array>
#include <mutex>
#include <string_view>

#include "common/bytes.h"
#include "common/log.h"
#include "common/unique_fd.h"
#include "generated/contract.h"

namespace swtpm {

struct Frame {
  wire::FrameKind kind{};
  uint32_t id = 0;
  Bytes body;
  std::array<UniqueFd, wire::kMaxFrameFds> fds;  // in the order they were sent
  UniqueFd reply_fd;                             // to go with the reply
};

class Channel {
 public:
  explicit Channel(int fd) : fd_(fd) {}

  // Blocks for the next frame. False at end of file, and for a frame longer than the limit, after which
  // nothing on the channel could be trusted. One thread only.
  bool read(Frame& frame);

  // Sends a frame as a whole. Any thread; a supervisor that is gone is noticed by read(), not here.
  void reply(uint32_t id, ByteView body, int fd = -1) { send(wire::FrameKind::kReply, id, {}, body, fd); }
  void event(wire::Event type, ByteView payload = {});
  void event(wire::Event type, uint32_t value);
  void log_event(LogLevel level, std::string_view text);

 private:
  bool receive(uint8_t* data, size_t size, std::span<UniqueFd> fds);
  void send(wire::FrameKind kind, uint32_t id, ByteView head, ByteView body, int fd = -1);

  int fd_;
  std::mutex write_mutex_;
};

}  // namespace swtpm
