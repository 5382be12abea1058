// Repeats a system call that a signal interrupted. The signal that ends a pump's blocking read can arrive
// while its thread stores the TPM's state, and file systems in user space or on the network then do interrupt
// their calls.
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
