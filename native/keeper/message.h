// Messages between the keeper and Node: whole packets with descriptors beside them. contract/keeper.ts says
// what they mean.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "generated/keeper.h"

namespace swtpm::keeper {

struct Message {
  uint32_t code;
  uint32_t value;
  uint8_t bytes[wire::kMaxKeeperMessageBytes];
  size_t size;                       // of the bytes
  int fds[wire::kMaxKeeperFds + 2];  // as many as fit beside one; owned by the message until they are taken
  size_t fd_count;

  // The word at `index`, 0 beyond the end.
  uint32_t word(size_t index) const;
  // The descriptor at `index`, which is the caller's from now on; -1 where there is none.
  int take(size_t index);
  void close_fds();
};

// Reads one message; never blocks. 1: there is one, 0: none at the moment, -1: the other side has gone.
int receive(int fd, Message& message);

// Sends one message. False when the other side has gone.
bool send(int fd, uint32_t code, uint32_t value, const void* bytes = nullptr, size_t size = 0,
          const int* fds = nullptr, size_t fd_count = 0);

}  // namespace swtpm::keeper
