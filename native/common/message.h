// Messages as whole packets, with descriptors beside them, over a Unix SOCK_SEQPACKET connection: what keeper
// and Node say to each other. contract/keeper.ts says what they mean. It needs no C++ library.
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/eintr.h"
#include "common/passed_fds.h"
#include "generated/keeper.h"

namespace swtpm {

struct Message {
  uint32_t code;
  uint32_t value;
  uint8_t bytes[wire::kMaxKeeperMessageBytes];
  size_t size;                   // of the bytes
  int fds[wire::kMaxKeeperFds];  // owned by the message until they are taken
  size_t fd_count;

  // The word at `index`, 0 beyond the end.
  uint32_t word(size_t index) const {
    uint32_t value = 0;
    if ((index + 1) * sizeof(value) <= size) memcpy(&value, bytes + index * sizeof(value), sizeof(value));
    return value;
  }

  // The descriptor at `index`, which stays ours; -1 where there is none.
  int fd(size_t index) const { return index < fd_count ? fds[index] : -1; }

  // The descriptor at `index`, which is the caller's from now on; -1 where there is none.
  int take(size_t index) {
    if (index >= fd_count) return -1;
    int fd = fds[index];
    fds[index] = -1;
    return fd;
  }

  void close_fds() {
    for (size_t i = 0; i < fd_count; i++)
      if (fds[i] >= 0) close(fds[i]);
    fd_count = 0;
  }
};

// Reads one message; never blocks. 1: there is one, 0: none at the moment, -1: the other side has gone.
inline int receive(int fd, Message& message) {
  uint32_t head[2];
  iovec parts[] = {{head, sizeof(head)}, {message.bytes, sizeof(message.bytes)}};
  msghdr header{};
  header.msg_iov = parts;
  header.msg_iovlen = 2;
  PassedFds<wire::kMaxKeeperFds> passed;
  passed.receive_with(header);
  ssize_t n = no_eintr([&] { return recvmsg(fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT); });
  if (n < 0 && errno == EAGAIN) return 0;
  message.fd_count = 0;
  if (n > 0) passed.take_from(header, [&](int taken) { message.fds[message.fd_count++] = taken; });
  if (n < static_cast<ssize_t>(sizeof(head)) || header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
    message.close_fds();
    return -1;
  }
  message.code = head[0];
  message.value = head[1];
  message.size = static_cast<size_t>(n) - sizeof(head);
  return 1;
}

// Sends one message; the descriptors stay the caller's. False when the other side has gone.
inline bool send(int fd, uint32_t code, uint32_t value, const void* bytes = nullptr, size_t size = 0,
                 const int* fds = nullptr, size_t fd_count = 0) {
  uint32_t head[] = {code, value};
  iovec parts[] = {{head, sizeof(head)}, {const_cast<void*>(bytes), size}};
  msghdr header{};
  header.msg_iov = parts;
  header.msg_iovlen = 2;
  PassedFds<wire::kMaxKeeperFds> passed;
  passed.send_with(header, fds, fd_count);
  return no_eintr([&] { return sendmsg(fd, &header, MSG_NOSIGNAL); }) >= 0;
}

}  // namespace swtpm
