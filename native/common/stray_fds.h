// Descriptors that a process has without having asked for them. @see close_range(2)
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace swtpm {

// Calls `act(fd)` for every open descriptor from `first` on. It may close it.
template <typename Act>
void for_fds_from(int first, Act act) {
  if (DIR* folder = opendir("/proc/self/fd")) {
    while (dirent* entry = readdir(folder))
      if (int fd = atoi(entry->d_name); fd >= first && fd != dirfd(folder)) act(fd);
    closedir(folder);
  } else {
    for (int fd = first, end = static_cast<int>(sysconf(_SC_OPEN_MAX)); fd < end; fd++) act(fd);
  }
}

// All from `first` on are not inherited by programs that are executed. Kernels before 5.11 do not know how.
inline void close_on_exec_from(int first) {
  constexpr unsigned on_exec = 1U << 2;  // CLOSE_RANGE_CLOEXEC
  if (syscall(SYS_close_range, first, ~0U, on_exec) < 0)
    for_fds_from(first, [](int fd) { fcntl(fd, F_SETFD, FD_CLOEXEC); });
}

// All from `first` on. Kernels before 5.9 do not know how.
inline void close_from(int first) {
  if (syscall(SYS_close_range, first, ~0U, 0) < 0) for_fds_from(first, [](int fd) { close(fd); });
}

}  // namespace swtpm
