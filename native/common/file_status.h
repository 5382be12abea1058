// What a descriptor is of. The engine's filter of system calls allows this, and no question about a path: of
// the C library's fstat() some versions make one, with an empty path, and a filter cannot see that it is
// empty.
#pragma once

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace swtpm {

// False with errno.
inline bool file_status(int fd, struct stat& status) {
  static_assert(sizeof(long) == 8, "where the kernel's structure is the C library's");
  return syscall(SYS_fstat, fd, &status) == 0;
}

}  // namespace swtpm
