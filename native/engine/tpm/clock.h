// The time, for waiting and for giving up.
#pragma once

#include <time.h>

#include <cstdint>

namespace swtpm {

// As of the last tick of the clock, at most 10 ms ago: it is asked for each command, and reading the clock
// itself may take a system call.
inline int64_t coarse_now_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

}  // namespace swtpm
