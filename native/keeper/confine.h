// What the keeper gives up when everything is open. Its children inherit it, and give up more.
#pragma once

#include <errno.h>

#include "common/capabilities.h"
#include "common/protect_process.h"
#include "common/syscall_filter.h"
#include "generated/keeper.h"

namespace swtpm::keeper {

// Root's keeper: what Node takes to remove files from directories of other users, and what an engine takes to
// become the owner of its state, to have that as its root, and then to be killed. Both drop the rest
// themselves.
constexpr uint64_t kKeptCapabilities = Capabilities::bit(CAP_DAC_OVERRIDE) | Capabilities::bit(CAP_FOWNER) |
                                       Capabilities::bit(CAP_KILL) | Capabilities::bit(CAP_SETUID) |
                                       Capabilities::bit(CAP_SETGID) | Capabilities::bit(CAP_SYS_CHROOT);

// `flags`: see wire::kConfine*. Returns 0 or -errno; after an error the process may be half confined: end it.
inline int confine(uint32_t flags) {
  // Without CAP_SETPCAP the bounding set stays, but nothing is gained: "no new privileges".
  limit_bounding_and_ambient_set(kKeptCapabilities);
  Capabilities own;
  if (!protect_process() || !own.read() ||
      !Capabilities{own.effective & kKeptCapabilities, own.permitted & kKeptCapabilities}.apply())
    return -errno;
  if (!(flags & (wire::kConfineSeccompLog | wire::kConfineSeccompKill))) return 0;
  SyscallFilter filter(flags & wire::kConfineSeccompKill);
  return filter.install() == 0 ? 0 : -errno;
}

}  // namespace swtpm::keeper
