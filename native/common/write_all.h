// Writes all bytes, where write(2) and pwrite(2) may stop early or be interrupted.
#pragma once

#include <errno.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/eintr.h"

namespace swtpm {

// `write_some(rest)` writes some bytes from the front of `rest` and returns their number, or -1 with errno.
// False, with errno: not everything was written.
template <typename WriteSome>
bool write_all_by(ByteView rest, WriteSome write_some) {
  while (!rest.empty()) {
    ssize_t n = no_eintr([&] { return write_some(rest); });
    if (n == 0) errno = ENOSPC;  // no file does this, but it would make an endless loop
    if (n <= 0) return false;
    rest = rest.subspan(static_cast<size_t>(n));
  }
  return true;
}

// At the descriptor's own position.
inline bool write_all(int fd, ByteView data) {
  return write_all_by(data, [fd](ByteView rest) { return ::write(fd, rest.data(), rest.size()); });
}

inline bool write_all_at(int fd, ByteView data, uint64_t offset) {
  return write_all_by(data, [&](ByteView rest) {
    auto position = static_cast<off_t>(offset + (data.size() - rest.size()));
    return ::pwrite(fd, rest.data(), rest.size(), position);
  });
}

}  // namespace swtpm
