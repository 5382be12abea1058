// POSIX locks on whole files, also when these grow. @see fcntl(2) "Advisory record locking"
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

namespace swtpm {

inline struct flock whole_file(int16_t type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

// Never waits. 0 or -errno; -EAGAIN: another process has it. (POSIX allows EACCES too, and NFS uses it.)
inline int lock_file(int fd) {
  struct flock lock = whole_file(F_WRLCK);
  if (fcntl(fd, F_SETLK, &lock) == 0) return 0;
  return errno == EACCES ? -EAGAIN : -errno;
}

inline int unlock_file(int fd) {
  struct flock lock = whole_file(F_UNLCK);
  return fcntl(fd, F_SETLK, &lock) == 0 ? 0 : -errno;
}

// The process that is in the way; 0: none is. -ESRCH: it is unknown, as it is in another pid namespace, or
// the lock belongs to an open file description. Otherwise -errno.
inline int lock_holder(int fd) {
  struct flock lock = whole_file(F_WRLCK);
  if (fcntl(fd, F_GETLK, &lock) < 0) return -errno;
  if (lock.l_type == F_UNLCK) return 0;
  return lock.l_pid > 0 ? lock.l_pid : -ESRCH;
}

}  // namespace swtpm
