// File descriptors that travel beside the bytes of a message on a Unix socket. @see unix(7), cmsg(3)
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

namespace swtpm {

// At most `most` with one message.
template <size_t most>
class PassedFds {
 public:
  // Has sendmsg() send `fds` along. They stay the caller's.
  void send_with(msghdr& message, const int* fds, size_t count) {
    if (count == 0) return;
    message.msg_control = buffer_;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, count * sizeof(int));
  }

  // Makes room for recvmsg(). The kernel closes those that do not fit, and those for which the process has no
  // free number (MSG_CTRUNC).
  void receive_with(msghdr& message) {
    message.msg_control = buffer_;
    message.msg_controllen = sizeof(buffer_);
  }

  // After a recvmsg() that did not fail. Each `take(fd)` is given a descriptor, which is open whatever
  // happens.
  template <typename Take>
  static void take_from(msghdr& message, Take take) {
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
      for (size_t at = 0; at < header->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
        int fd;
        memcpy(&fd, CMSG_DATA(header) + at, sizeof(fd));
        take(fd);
      }
    }
  }

 private:
  alignas(cmsghdr) uint8_t buffer_[CMSG_SPACE(most * sizeof(int))] = {};
};

}  // namespace swtpm
