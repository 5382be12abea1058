#include "addon/unique_fd.h"

#include <cerrno>

namespace swtpm::addon {

UniqueFd::~UniqueFd() {
  if (fd_ < 0) return;
  const int saved = errno;
  close(fd_);
  errno = saved;
}

}  // namespace swtpm::addon
