#include "engine/serve/fuse_request.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "common/log.h"

namespace swtpm {

int read_fuse_request(int device, std::span<uint8_t> buffer, std::span<uint8_t>& raw,
                      fuse_in_header& header) {
  ssize_t n = ::read(device, buffer.data(), buffer.size());
  if (n == 0) return -ENODEV;
  if (n < 0) {
    // ENOENT: the client withdrew the request while read() was returning it.
    if (errno == EINTR || errno == ENOENT) return 0;
    if (errno != EAGAIN) return -errno;
    pollfd wait{device, POLLIN, 0};
    ::poll(&wait, 1, -1);
    return 0;
  }
  raw = buffer.first(static_cast<size_t>(n));
  if (decode(raw, header) && header.len == raw.size()) return 1;
  log(LogLevel::kError, "Cannot use a FUSE request of %zd bytes: its header does not fit", n);
  return 0;
}

}  // namespace swtpm
