// Executes a program in a child. It needs no C++ library.
#pragma once

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/signals.h"

namespace swtpm {

// `prepare()` runs in the child, in the parent's memory, and may make system calls alone; false, with errno:
// give up. Signals are those of a program that has just begun. Returns its process number, or -errno.
template <typename Prepare>
pid_t start_program(const char* program, char* const* words, char* const* environment, Prepare prepare) {
  constexpr int no_program = 127;
  volatile int error = 0;
  pid_t pid = vfork();
  if (pid == 0) {
    reset_signal_actions();
    unblock_all_signals();
    if (prepare()) execve(program, words, environment);
    error = errno;
    _exit(no_program);
  }
  if (pid < 0) return -errno;
  if (error) waitpid(pid, nullptr, 0);
  return error ? -error : pid;
}

}  // namespace swtpm
