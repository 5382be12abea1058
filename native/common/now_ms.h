// A clock for time limits: it goes on evenly, and tells no time of day.
#pragma once

#include <stdint.h>
#include <time.h>

namespace swtpm {

inline int64_t now_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

}  // namespace swtpm
