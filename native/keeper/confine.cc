#include "keeper/confine.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/capabilities.h"
#include "common/syscall_filter.h"
#include "generated/keeper.h"

namespace swtpm::keeper {
namespace {

// Root's keeper: what Node takes to remove files from directories of other users, and what an engine takes to
// become the owner of its state, and then to be killed. Both drop the rest themselves.
constexpr uint64_t kKept = Capabilities::bit(CAP_DAC_OVERRIDE) | Capabilities::bit(CAP_FOWNER) |
                           Capabilities::bit(CAP_KILL) | Capabilities::bit(CAP_SETUID) |
                           Capabilities::bit(CAP_SETGID);

bool drop_capabilities() {
  // What is not in the bounding set, a program that we execute as root does not get. Without CAP_SETPCAP it
  // stays, but nothing is gained: "no new privileges".
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
    if (!(kKept & Capabilities::bit(capability))) prctl(PR_CAPBSET_DROP, capability);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  Capabilities own;
  return own.read() && Capabilities{own.effective & kKept, own.permitted & kKept}.apply();
}

}  // namespace

int confine(uint32_t flags) {
  rlimit none{0, 0};
  if (prctl(PR_SET_DUMPABLE, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || !drop_capabilities())
    return -errno;
  if (!(flags & (wire::kConfineSeccompLog | wire::kConfineSeccompKill))) return 0;
  SyscallFilter filter(flags & wire::kConfineSeccompKill);
  return filter.install() == 0 ? 0 : -errno;
}

}  // namespace swtpm::keeper
