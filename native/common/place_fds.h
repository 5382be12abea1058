// Gives descriptors the numbers that a program expects them at.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

namespace swtpm {

// In a process that is about to execute a program: they become `first` and the numbers that follow, and are
// inherited. What had these numbers is closed. False with errno.
template <size_t count>
bool place_fds(int first, const int (&fds)[count]) {
  // Above them, so that none is closed before it has been copied.
  int copies[count];
  for (size_t i = 0; i < count; i++) {
    copies[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, first + static_cast<int>(count));
    if (copies[i] < 0) return false;
  }
  for (size_t i = 0; i < count; i++)
    if (dup2(copies[i], first + static_cast<int>(i)) < 0) return false;
  return true;
}

}  // namespace swtpm
