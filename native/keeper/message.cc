#include "keeper/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace swtpm::keeper {

uint32_t Message::word(size_t index) const {
  uint32_t value = 0;
  if ((index + 1) * sizeof(value) <= size) memcpy(&value, bytes + index * sizeof(value), sizeof(value));
  return value;
}

int Message::take(size_t index) {
  if (index >= fd_count) return -1;
  int fd = fds[index];
  fds[index] = -1;
  return fd;
}

void Message::close_fds() {
  for (size_t i = 0; i < fd_count; i++)
    if (fds[i] >= 0) close(fds[i]);
  fd_count = 0;
}

int receive(int fd, Message& message) {
  uint32_t head[2];
  iovec iov[] = {{head, sizeof(head)}, {message.bytes, sizeof(message.bytes)}};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(message.fds))];
  msghdr header{};
  header.msg_iov = iov;
  header.msg_iovlen = 2;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  ssize_t n;
  do n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) return 0;
  message.fd_count = 0;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); n > 0 && part; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    message.fd_count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(message.fds, CMSG_DATA(part), message.fd_count * sizeof(int));
  }
  if (n >= static_cast<ssize_t>(sizeof(head)) && !(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
      message.fd_count <= wire::kMaxKeeperFds) {
    message.code = head[0];
    message.value = head[1];
    message.size = static_cast<size_t>(n) - sizeof(head);
    return 1;
  }
  message.close_fds();
  return -1;
}

bool send(int fd, uint32_t code, uint32_t value, const void* bytes, size_t size, const int* fds,
          size_t fd_count) {
  uint32_t head[] = {code, value};
  iovec iov[] = {{head, sizeof(head)}, {const_cast<void*>(bytes), size}};
  alignas(cmsghdr) char control[CMSG_SPACE(wire::kMaxKeeperFds * sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = iov;
  header.msg_iovlen = 2;
  if (fd_count > 0) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    memcpy(CMSG_DATA(part), fds, fd_count * sizeof(int));
  }
  ssize_t n;
  do n = sendmsg(fd, &header, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return n >= 0;
}

}  // namespace swtpm::keeper
