// The processes that this one has started: which of them run, how the others have ended, and what they have
// said. The number of a child is its own until it has been reaped, so that no other process is ever killed in
// its place. It needs no C++ library.
#pragma once

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include "common/child_output.h"
#include "common/clock.h"
#include "common/signals.h"

namespace swtpm {

// At most `most` at a time.
template <size_t most>
class Children {
 public:
  size_t count() const { return count_; }
  bool full() const { return count_ == most; }
  void add(pid_t pid, const ChildOutput& output) { children_[count_++] = {pid, output}; }

  // Where what they say goes; -1: nowhere. Before the first of them is added.
  void set_log(int fd) { log_ = fd; }

  // Fills in what to wait for beside SIGCHLD, at most `size`. Returns how many.
  size_t watch_output(pollfd* events, size_t size) const {
    size_t used = 0;
    for (size_t i = 0; i < count_ && used < size; i++)
      if (children_[i].output.live) events[used++] = {children_[i].output.read_end, POLLIN, 0};
    return used;
  }

  void pass_on_output() const {
    for (size_t i = 0; i < count_; i++)
      if (children_[i].output.live) children_[i].output.pass_on(log_, children_[i].pid);
  }

  // 0 or -errno; -ESRCH when it is no child, or has been reaped.
  int kill(pid_t pid) const {
    for (size_t i = 0; i < count_; i++)
      if (children_[i].pid == pid) return ::kill(pid, SIGKILL) < 0 ? -errno : 0;
    return -ESRCH;
  }

  void kill_all() const {
    for (size_t i = 0; i < count_; i++) ::kill(children_[i].pid, SIGKILL);
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
      pollfd events[1 + kWatched] = {{signals, POLLIN, 0}};
      size_t watched = watch_output(events + 1, kWatched);
      int64_t left = deadline - now_ms();
      if (left <= 0 || poll(events, 1 + watched, static_cast<int>(left)) == 0) return;
      pass_on_output();
      while (int signal = next_signal(signals)) {
        if (signal == SIGCHLD)
          reap([](pid_t, int, bool) {});
        else
          heard(signal);
      }
    }
  }

 private:
  static constexpr size_t kWatched = 8;

  struct Child {
    pid_t pid;
    ChildOutput output;
  };

  bool remove(pid_t pid) {
    for (size_t i = 0; i < count_; i++) {
      Child child = children_[i];
      if (child.pid != pid) continue;
      while (child.output.pass_on(log_, pid) && child.output.live) {
      }
      if (child.output.read_end >= 0) close(child.output.read_end);
      children_[i] = children_[--count_];
      return true;
    }
    return false;
  }

  Child children_[most] = {};
  size_t count_ = 0;
  // All zero, so that an object of static storage takes no room in the program.
  int log_ = 0;
};

// How a process has ended, as ENGINE_ENDED says it.
inline uint32_t exit_status_of(int status) {
  return WIFEXITED(status) ? static_cast<uint32_t>(WEXITSTATUS(status)) : 0;
}
inline uint32_t signal_of(int status) {
  return WIFSIGNALED(status) ? static_cast<uint32_t>(WTERMSIG(status)) : 0;
}

}  // namespace swtpm
