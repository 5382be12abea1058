// The functions by which libtpms asks for the time, in place of the C library's: the dynamic linker looks for
// a function in the program first (engine/libcrypto/README.md has more on that). Without `--seed-insecure`,
// and for all but libtpms, they are the C library's.
#include <errno.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "engine/libcrypto/library_function.h"
#include "engine/tpm/insecure_seed.h"

namespace {

namespace seed = swtpm::insecure_seed;

using ClockGettime = int(clockid_t, timespec*);
using Gettimeofday = int(timeval*, void*);
ClockGettime* const g_clock_gettime = swtpm::library_function<ClockGettime>("clock_gettime");
Gettimeofday* const g_gettimeofday = swtpm::library_function<Gettimeofday>("gettimeofday");

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* out) noexcept {
  if (seed::replaces_time()) {
    *out = seed::now();
    return 0;
  }
  // A library may ask before the variables above are set.
  if (!g_clock_gettime) return static_cast<int>(::syscall(SYS_clock_gettime, clock, out));
  return g_clock_gettime(clock, out);
}

extern "C" int gettimeofday(timeval* out, void* zone) noexcept {
  if (seed::replaces_time()) {
    timespec now = seed::now();
    *out = {now.tv_sec, now.tv_nsec / 1000};
    return 0;
  }
  if (!g_gettimeofday) return static_cast<int>(::syscall(SYS_gettimeofday, out, zone));
  return g_gettimeofday(out, zone);
}
