// The POSIX lock on the state, which lasts while Node does not. A process loses its locks on a file as soon
// as it closes any descriptor of it.
#pragma once

#include <unistd.h>

#include "common/file_lock.h"

namespace swtpm::keeper {

class StateLock {
 public:
  // On `given`, a lock file, which is ours then; without one (-1) on the state. As lock_file(); `holder` is
  // the process that is in the way, 0 where unknown.
  int take(int given, int state, uint32_t& holder) {
    int fd = given >= 0 ? given : state;
    int result = lock_file(fd);
    if (result == 0) {
      lock_file_ = given;
      on_state_ = given < 0;
      return 0;
    }
    int pid = lock_holder(fd);
    holder = pid > 0 ? static_cast<uint32_t>(pid) : 0;
    // There is no lock on this file that the close could drop.
    if (given >= 0) close(given);
    return result;
  }

  int let_go(int state) {
    if (lock_file_ >= 0) close(lock_file_);
    lock_file_ = -1;
    int result = on_state_ ? unlock_file(state) : 0;
    on_state_ = false;
    return result;
  }

 private:
  int lock_file_ = -1;
  bool on_state_ = false;
};

}  // namespace swtpm::keeper
