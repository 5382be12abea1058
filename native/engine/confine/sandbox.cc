#include "engine/confine/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "common/log.h"
#include "common/reason.h"
#include "common/unique_fd.h"
#include "engine/confine/privileges.h"
#include "generated/contract.h"

namespace swtpm {
namespace {

// Later than the headers of the oldest supported distribution.
constexpr uint64_t kLandlockRefer = 1ULL << 13;     // version 2
constexpr uint64_t kLandlockTruncate = 1ULL << 14;  // version 3
constexpr uint64_t kLandlockIoctlDev = 1ULL << 15;  // version 5
constexpr uint64_t kLandlockTcp = 3;                // version 4: bind and connect
constexpr uint64_t kLandlockScopes = 3;             // version 6: abstract Unix sockets and signals

struct LandlockRuleset {
  uint64_t files, network, scopes;
};

// A system call that is allowed, perhaps with certain arguments only. One system call must not have rules
// with and without conditions: libseccomp then ignores the conditions.
struct Rule {
  explicit Rule(int system_call) : call(system_call) {}
  Rule(int system_call, scmp_arg_cmp first) : call(system_call), conditions{first}, count(1) {}
  Rule(int system_call, scmp_arg_cmp first, scmp_arg_cmp second)
      : call(system_call), conditions{first, second}, count(2) {}

  int call;
  scmp_arg_cmp conditions[2] = {};
  unsigned count = 0;
};

scmp_arg_cmp equals(unsigned argument, uint64_t value) {
  return {argument, SCMP_CMP_EQ, value, 0};
}
scmp_arg_cmp lacks(unsigned argument, uint64_t bits) {
  return {argument, SCMP_CMP_MASKED_EQ, bits, 0};
}
scmp_arg_cmp is_state(unsigned argument) {
  return equals(argument, wire::kStateFd);
}

std::vector<Rule> rules(const Options& options) {
  std::vector<Rule> allowed = {
      // The channel, the clients and the log.
      Rule(SCMP_SYS(read)),
      Rule(SCMP_SYS(write)),
      Rule(SCMP_SYS(sendmsg), equals(0, wire::kChannelFd)),
      Rule(SCMP_SYS(recvmsg)),
      Rule(SCMP_SYS(accept4)),
      Rule(SCMP_SYS(poll)),
      Rule(SCMP_SYS(close)),
      Rule(SCMP_SYS(fcntl), equals(1, F_GETFL)),
      Rule(SCMP_SYS(fcntl), equals(1, F_SETFL)),
      // Threads: mutexes, and the signal that interrupts a pump thread's blocking call.
      Rule(SCMP_SYS(futex)),
      Rule(SCMP_SYS(tgkill), equals(0, static_cast<uint64_t>(getpid()))),
      Rule(SCMP_SYS(getpid)),
      Rule(SCMP_SYS(rt_sigprocmask)),
      Rule(SCMP_SYS(rt_sigreturn)),
      Rule(SCMP_SYS(restart_syscall)),
      // Memory, never executable.
      Rule(SCMP_SYS(brk)),
      Rule(SCMP_SYS(mmap), lacks(2, PROT_EXEC)),
      Rule(SCMP_SYS(munmap)),
      Rule(SCMP_SYS(mremap)),
      // The TPM's entropy and clock. Without a vDSO, reading the clock is a system call.
      Rule(SCMP_SYS(getrandom)),
      Rule(SCMP_SYS(clock_gettime)),
      Rule(SCMP_SYS(gettimeofday)),
      // Before libtpms's first line of debugging stdio looks where the end of standard error is.
      Rule(SCMP_SYS(lseek), equals(0, STDERR_FILENO)),
      // Of a descriptor only: see file_status().
      Rule(SCMP_SYS(fstat)),
      Rule(SCMP_SYS(fsync)),
      Rule(SCMP_SYS(exit_group)),
  };
  const auto allow = [&](const auto&... more) { (allowed.push_back(more), ...); };
#ifdef __NR_ppoll
  if (SCMP_SYS(poll) < 0) allow(Rule(SCMP_SYS(ppoll)));  // newer architectures do not have poll
#endif
  if (options.backend == Backend::kLinear) {
    allow(Rule(SCMP_SYS(pread64), is_state(0)), Rule(SCMP_SYS(pwrite64), is_state(0)),
          Rule(SCMP_SYS(ftruncate), is_state(0)));
    return allowed;
  }
  // seccomp can check the directory descriptor, but not the path: Landlock forbids "../". Of a descriptor of
  // O_PATH, though, Landlock is not asked, and fstat() would tell about any file.
  allow(Rule(SCMP_SYS(openat), is_state(0), lacks(2, O_PATH)),
        Rule(SCMP_SYS(renameat), is_state(0), is_state(2)), Rule(SCMP_SYS(unlinkat), is_state(0)));
  if (options.mode_given) allow(Rule(SCMP_SYS(fchmod)));
  if (options.journal) allow(Rule(SCMP_SYS(pwrite64)));
  if (options.backup) allow(Rule(SCMP_SYS(linkat), is_state(0), is_state(2)));
  return allowed;
}

}  // namespace

bool enter_state_directory(Backend backend) {
  return backend == Backend::kDir && ::fchdir(wire::kStateFd) == 0 && ::chroot(".") == 0;
}

void confine_files(Backend backend, bool entered) {
  long version = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) {
    // Its root is the state directory, or its filter lets it open nothing.
    if (entered || backend == Backend::kLinear) return;
    log(LogLevel::kWarning,
        "The kernel has no Landlock: an engine that is broken into can open what its user may; give each TPM "
        "a user of its own with --runas");
    return;
  }
  LandlockRuleset ruleset{kLandlockRefer - 1, 0, 0};  // version 1: all bits below
  if (version >= 2) ruleset.files |= kLandlockRefer;
  if (version >= 3) ruleset.files |= kLandlockTruncate;
  if (version >= 4) ruleset.network = kLandlockTcp;
  if (version >= 5) ruleset.files |= kLandlockIoctlDev;
  if (version >= 6) ruleset.scopes = kLandlockScopes;
  size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
  UniqueFd fd(static_cast<int>(syscall(SYS_landlock_create_ruleset, &ruleset, size, 0)));
  bool confined = static_cast<bool>(fd);
  // The linear backend opens no path at all.
  if (confined && backend == Backend::kDir) {
    landlock_path_beneath_attr rule{};
    rule.parent_fd = wire::kStateFd;
    rule.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                          LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE;
    confined = syscall(SYS_landlock_add_rule, fd.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
  }
  confined = confined && syscall(SYS_landlock_restrict_self, fd.get(), 0) == 0;
  if (!confined)
    log(LogLevel::kWarning, "Cannot confine the engine to the state directory: %s", reason_of(errno).text);
}

bool confine_system_calls(const Options& options) {
  if (options.seccomp == SeccompAction::kNone) return true;
  std::unique_ptr<void, decltype(&seccomp_release)> filter(
      seccomp_init(options.seccomp == SeccompAction::kLog ? SCMP_ACT_LOG : SCMP_ACT_KILL_PROCESS),
      seccomp_release);
  int error = filter ? 0 : -ENOMEM;
  for (const Rule& rule : rules(options)) {
    if (error < 0) break;
    if (rule.call < 0) continue;  // not a system call of this architecture
    error = seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, rule.call, rule.count, rule.conditions);
  }
  // What the C library's fstat() makes of it, with the path "" that no filter can read: stdio goes on
  // without.
  if (error == 0) error = seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), SCMP_SYS(newfstatat), 0);
  if (error == 0) {
    // For all threads: they were started before, so that starting threads need not be allowed.
    seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1);
    seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
    error = seccomp_load(filter.get());
  }
  if (error < 0) log(LogLevel::kError, "Cannot install the seccomp filter: %s", reason_of(-error).text);
  return error == 0;
}

}  // namespace swtpm
