// The capabilities of the calling thread. System calls alone, so that a signal handler may use it.
// @see capabilities(7)
#pragma once

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace swtpm {

// The two sets that count for a thread, capability n being bit n.
struct Capabilities {
  uint64_t effective = 0;
  uint64_t permitted = 0;

  static constexpr uint64_t bit(int capability) { return uint64_t{1} << capability; }

  // False, with errno, if the kernel does not tell.
  bool read() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3] = {};
    if (syscall(SYS_capget, &header, words) < 0) return false;
    effective = words[0].effective | uint64_t{words[1].effective} << 32;
    permitted = words[0].permitted | uint64_t{words[1].permitted} << 32;
    return true;
  }

  // Gives the thread these sets, and empties its inheritable set. The kernel always allows a thread to give
  // up capabilities, and to make permitted ones effective. False with errno.
  bool apply() const {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3] = {};
    for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
      words[i].effective = static_cast<uint32_t>(effective >> 32 * i);
      words[i].permitted = static_cast<uint32_t>(permitted >> 32 * i);
    }
    return syscall(SYS_capset, &header, words) == 0;
  }
};

// Keeps programs that the thread executes from gaining capabilities, but for those of `kept`. Errors do not
// count: the bounding set stays without CAP_SETPCAP, and a kernel without ambient capabilities has none to
// clear.
inline void limit_bounding_and_ambient_set(uint64_t kept = 0) {
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
    if (!(kept & Capabilities::bit(capability))) prctl(PR_CAPBSET_DROP, capability);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

}  // namespace swtpm
