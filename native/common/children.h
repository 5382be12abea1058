// The processes that this one has started: which of them run, and how the others have ended. The number of a
// child is its own until it has been reaped, so that no other process is ever killed in its place. It needs
// no C++ library.
#pragma once

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/signals.h"

namespace swtpm {

// At most `most` at a time.
template <size_t most>
class Children {
 public:
  size_t count() const { return count_; }
  bool full() const { return count_ == most; }
  void add(pid_t pid) { pids_[count_++] = pid; }

  // 0 or -errno; -ESRCH when it is no child, or has been reaped.
  int kill(pid_t pid) const {
    for (size_t i = 0; i < count_; i++)
      if (pids_[i] == pid) return ::kill(pid, SIGKILL) < 0 ? -errno : 0;
    return -ESRCH;
  }

  void kill_all() const {
    for (size_t i = 0; i < count_; i++) ::kill(pids_[i], SIGKILL);
  }

  // Reaps what has ended: `ended(pid, status, known)` for each, status as wait(2) has it. Not `known` is one
  // that was not added.
  template <typename Ended>
  void reap(Ended ended) {
    int status = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) ended(pid, status, remove(pid));
  }

  // Until all have ended; `limit_ms` at most. `signals` is where SIGCHLD comes by; `heard(number)` is told of
  // the others.
  template <typename Heard>
  void wait_for_all(int signals, int64_t limit_ms, Heard heard) {
    int64_t deadline = now_ms() + limit_ms;
    while (count_ > 0) {
      pollfd events{signals, POLLIN, 0};
      int64_t left = deadline - now_ms();
      if (left <= 0 || poll(&events, 1, static_cast<int>(left)) == 0) return;
      while (int signal = next_signal(signals)) {
        if (signal == SIGCHLD)
          reap([](pid_t, int, bool) {});
        else
          heard(signal);
      }
    }
  }

 private:
  bool remove(pid_t pid) {
    for (size_t i = 0; i < count_; i++) {
      if (pids_[i] != pid) continue;
      pids_[i] = pids_[--count_];
      return true;
    }
    return false;
  }

  pid_t pids_[most] = {};
  size_t count_ = 0;
};

// How a process has ended, as ENGINE_ENDED says it.
inline uint32_t exit_status_of(int status) {
  return WIFEXITED(status) ? static_cast<uint32_t>(WEXITSTATUS(status)) : 0;
}
inline uint32_t signal_of(int status) {
  return WIFSIGNALED(status) ? static_cast<uint32_t>(WTERMSIG(status)) : 0;
}

}  // namespace swtpm
