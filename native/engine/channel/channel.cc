#include "engine/channel/channel.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/eintr.h"
#include "common/passed_fds.h"

namespace swtpm {

bool Channel::receive(uint8_t* data, size_t size, std::span<UniqueFd> fds) {
  size_t have = 0;
  size_t next_fd = 0;
  while (have < size) {
    iovec iov{data + have, size - have};
    msghdr message{};
    message.msg_iov = &iov;
    message.msg_iovlen = 1;
    PassedFds<wire::kMaxFrameFds> passed;
    passed.receive_with(message);
    ssize_t n = no_eintr([&] { return ::recvmsg(fd_, &message, MSG_CMSG_CLOEXEC); });
    if (n <= 0) return false;
    have += static_cast<size_t>(n);
    passed.take_from(message, [&](int received) {
      UniqueFd owned(received);  // closed here unless the caller takes it
      if (next_fd < fds.size()) fds[next_fd++] = std::move(owned);
    });
  }
  return true;
}

bool Channel::read(Frame& frame) {
  uint8_t header[wire::kFrameHeaderSizeBytes];
  for (UniqueFd& fd : frame.fds) fd.reset();
  if (!receive(header, sizeof(header), frame.fds)) return false;
  uint32_t length = load_be32(header);
  frame.kind = static_cast<wire::FrameKind>(load_be32(header + 4));
  frame.id = load_be32(header + 8);
  if (length > wire::kMaxRequestBodyBytes) {
    log(LogLevel::kError, "Cannot read the control channel: a frame of %u bytes is too long", length);
    return false;
  }
  frame.body.resize(length);
  return receive(frame.body.data(), length, {});
}

void Channel::send(wire::FrameKind kind, uint32_t id, ByteView head, ByteView body, int fd) {
  uint8_t header[wire::kFrameHeaderSizeBytes];
  store_be32(header, static_cast<uint32_t>(head.size() + body.size()));
  store_be32(header + 4, static_cast<uint32_t>(kind));
  store_be32(header + 8, id);
  iovec iov[] = {{header, sizeof(header)},
                 {const_cast<uint8_t*>(head.data()), head.size()},
                 {const_cast<uint8_t*>(body.data()), body.size()}};
  iovec* next = iov;
  iovec* end = iov + 3;
  msghdr message{};
  PassedFds<1> passed;
  passed.send_with(message, &fd, fd >= 0 ? 1 : 0);

  std::lock_guard lock(write_mutex_);
  while (next != end) {
    message.msg_iov = next;
    message.msg_iovlen = static_cast<size_t>(end - next);
    ssize_t n = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return;
    message.msg_control = nullptr;  // has gone with the first byte
    message.msg_controllen = 0;
    size_t written = static_cast<size_t>(n);
    while (next != end && written >= next->iov_len) written -= next++->iov_len;
    if (next != end) {
      next->iov_base = static_cast<uint8_t*>(next->iov_base) + written;
      next->iov_len -= written;
    }
  }
}

void Channel::event(wire::Event type, ByteView payload) {
  uint8_t head[4];
  store_be32(head, static_cast<uint32_t>(type));
  send(wire::FrameKind::kEvent, 0, head, payload);
}

void Channel::event(wire::Event type, uint32_t value) {
  uint8_t payload[4];
  store_be32(payload, value);
  event(type, ByteView(payload));
}

void Channel::log_event(LogLevel level, std::string_view text) {
  uint8_t head[8];
  store_be32(head, static_cast<uint32_t>(wire::Event::kLog));
  store_be32(head + 4, static_cast<uint32_t>(level));
  send(wire::FrameKind::kEvent, 0, head, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

}  // namespace swtpm
