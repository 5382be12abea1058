// Repeats a system call that a signal interrupted. The signal that ends a blocking read of a serving thread
// can arrive while this thread stores the TPM's state, and system calls on FUSE and network file systems are
// then interrupted.
#pragma once

#include <errno.h>

namespace swtpm {

template <typename Call>
auto no_eintr(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace swtpm
