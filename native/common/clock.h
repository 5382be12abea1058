// Clocks for waiting and for giving up: they go on evenly, and tell no time of day. They need no C++ library.
#pragma once

#include <stdint.h>
#include <time.h>

namespace swtpm {

inline int64_t now_ms(clockid_t clock = CLOCK_MONOTONIC) {
  timespec now;
  clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

// As of the last tick of the clock, at most 10 ms ago: it is asked for each command, and reading the clock
// itself may take a system call.
inline int64_t coarse_now_ms() {
  return now_ms(CLOCK_MONOTONIC_COARSE);
}

}  // namespace swtpm
