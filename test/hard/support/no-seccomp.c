// A machine where the seccomp filter cannot be installed.
#include <errno.h>

int seccomp_load(void* filter) {
  (void)filter;
  return -EINVAL;
}
