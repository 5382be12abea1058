// The POSIX lock on the state, which lasts while Node does not. A process loses its locks on a file as soon
// as it closes any descriptor of it.
#pragma once

#include <errno.h>

#include "common/file_lock.h"
#include "common/message.h"

namespace swtpm::keeper {

class StateLock {
 public:
  // LOCK: on the lock file that the message brings, which is ours then, or on the state. As lock_file();
  // `holder` is the process that is in the way, 0 where unknown.
  int take(Message& message, int state, uint32_t& holder) {
    if (lock_file_ >= 0 || on_state_) return -EALREADY;
    bool given = message.fd_count > 0;
    int fd = given ? message.fds[0] : state;
    int result = lock_file(fd);
    int pid = result < 0 ? lock_holder(fd) : 0;
    holder = pid > 0 ? static_cast<uint32_t>(pid) : 0;
    // A lock file that is not taken is closed: there is no lock on it that this could drop.
    if (result < 0) return result;
    lock_file_ = message.take(0);
    on_state_ = !given;
    return 0;
  }

  int let_go(int state) {
    if (lock_file_ >= 0) close(lock_file_);
    int result = on_state_ ? unlock_file(state) : 0;
    lock_file_ = -1;
    on_state_ = false;
    return result;
  }

 private:
  int lock_file_ = -1;
  bool on_state_ = false;
};

}  // namespace swtpm::keeper
