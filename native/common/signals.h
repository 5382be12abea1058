// Signals as a program finds them that has just begun, and as numbers to be read from a descriptor.
#pragma once

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <initializer_list>

namespace swtpm {

inline sigset_t signal_set(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : signals) sigaddset(&set, signal);
  return set;
}

inline void reset_signal_actions() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; signal++) sigaction(signal, &action, nullptr);
}

inline void unblock_all_signals() {
  sigset_t none = signal_set({});
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Blocks these signals. Returns the descriptor that they come by, which never blocks; -1 with errno.
inline int signals_by_descriptor(const sigset_t& set) {
  sigprocmask(SIG_BLOCK, &set, nullptr);
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

// The number of the next signal; 0: there is none at the moment.
inline int next_signal(int descriptor) {
  signalfd_siginfo info;
  return read(descriptor, &info, sizeof(info)) == sizeof(info) ? static_cast<int>(info.ssi_signo) : 0;
}

}  // namespace swtpm
