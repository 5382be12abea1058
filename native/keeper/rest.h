// What Node has left when it went to rest: for the next one, and for the end of the TPM without one.
#pragma once

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keeper/engines.h"
#include "keeper/log.h"

namespace swtpm::keeper {

class Rest {
 public:
  // How many events Node had seen when it sent REST.
  static uint32_t events_seen(const Message& message) { return message.word(0); }

  // Takes over what REST has brought. False, and nothing is taken: it makes no sense.
  bool take(Message& message) {
    size_t watched = message.word(1);
    size_t paths = message.word(2);
    if (message.size < kHead + paths || (paths > 0 && message.bytes[kHead + paths - 1] != 0) ||
        watched == 0 || watched > message.fd_count || message.fd_count + 3 > wire::kMaxKeeperFds)
      return false;
    left_ = message;
    message.fd_count = 0;
    return true;
  }

  // WAKE, for a Node that follows. False when it has gone.
  bool give(int connection, const Engines& engines) const {
    int fds[wire::kMaxKeeperFds];
    size_t count = left_.fd_count;
    memcpy(fds, left_.fds, count * sizeof(int));
    fds[count++] = engines.state_fd();
    if (has(wire::kRestSharedState)) fds[count++] = engines.shared_fd();
    if (engines.log_fd() >= 0) fds[count++] = engines.log_fd();
    size_t head = kHead + paths_size();
    return send(connection, wire::kSayWake, left_.value, left_.bytes + head, left_.size - head, fds, count);
  }

  void close_fds() { left_.close_fds(); }

  void remove_files() const {
    auto path = reinterpret_cast<const char*>(left_.bytes) + kHead;
    for (const char* end = path + paths_size(); path < end; path += strlen(path) + 1)
      if (unlink(path) < 0 && errno != ENOENT) log("Cannot remove \"%s\": %s", path, strerror(errno));
  }

  // What is to be polled, and their number. `pausing`: Node could not be started a moment ago, so that
  // nothing counts but the end of a client.
  size_t watch(pollfd* events, bool pausing) const {
    size_t count = !pausing ? left_.word(1) : has(wire::kRestEndWithClient) ? 1 : 0;
    for (size_t i = 0; i < count; i++)
      events[i] = {left_.fds[i], static_cast<short>(pausing ? POLLRDHUP : POLLIN | POLLRDHUP), 0};
    return count;
  }

  // Whether the client with which the TPM is to end has closed its connection, and left nothing to be read.
  bool client_has_gone() const {
    // The ends of a virtual machine's connections come one after the other.
    constexpr int patience_ms = 5;
    pollfd client{left_.fds[0], POLLIN | POLLRDHUP, 0};
    return has(wire::kRestEndWithClient) && poll(&client, 1, patience_ms) > 0 && peek() == 0;
  }

  // A client that waits for an answer gets the end of its connection, unless the TPM would end with it.
  void let_client_go() const {
    if (has(wire::kRestClient) && !has(wire::kRestEndWithClient) && peek() > 0)
      shutdown(left_.fds[0], SHUT_RDWR);
  }

 private:
  bool has(uint32_t flag) const { return (left_.value & flag) != 0; }
  size_t paths_size() const { return left_.word(2); }

  // What recv() says of the client: 0 it has closed its connection, positive it has said something.
  ssize_t peek() const {
    uint8_t byte;
    return recv(left_.fds[0], &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  }

  // Events seen, descriptors to watch, length of the paths; the paths follow, then what the next Node is
  // told.
  static constexpr size_t kHead = 3 * sizeof(uint32_t);
  Message left_{};
};

}  // namespace swtpm::keeper
