#include "engine/confine/privileges.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "common/log.h"
#include "common/unique_fd.h"
#include "generated/contract.h"

namespace swtpm {
namespace {

// Standard streams, channel, state, listener, client or device, and a state file or two.
constexpr rlim_t kMaxDescriptors = 32;
// Several times what libraries, stacks and the largest state take.
constexpr rlim_t kMaxAddressSpaceBytes = 256 << 20;

constexpr long kFaccessat2 = 439;  // later than some C library's headers; the same on all architectures

struct Capabilities {
  uint64_t effective = 0;
  uint64_t permitted = 0;

  static Capabilities ours() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3] = {};
    syscall(SYS_capget, &header, words);
    return {words[0].effective | uint64_t{words[1].effective} << 32,
            words[0].permitted | uint64_t{words[1].permitted} << 32};
  }

  // Raising within the permitted set, and giving up, is always allowed. Inheritable ones go.
  void apply() const {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3] = {};
    for (int i = 0; i < 2; i++) {
      words[i].effective = static_cast<uint32_t>(effective >> 32 * i);
      words[i].permitted = static_cast<uint32_t>(permitted >> 32 * i);
    }
    syscall(SYS_capset, &header, words);
  }
};

constexpr uint64_t bit(int capability) {
  return uint64_t{1} << capability;
}

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

// All that may be state: both TPM versions, and the backup.
std::vector<std::string> state_files() {
  std::vector<std::string> names;
  UniqueFd fd(::openat(wire::kStateFd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::unique_ptr<DIR, CloseDirectory> directory(fd ? fdopendir(fd.get()) : nullptr);
  if (!directory) return names;
  fd.release();
  while (const dirent* entry = readdir(directory.get()))
    if (strncmp(entry->d_name, "tpm", 3) == 0) names.emplace_back(entry->d_name);
  return names;
}

bool may(const char* name, int mode) {
  // The C library's faccessat() would judge by itself on old kernels, and takes root for all-powerful.
  return syscall(kFaccessat2, wire::kStateFd, name, mode, AT_EACCESS | AT_SYMLINK_NOFOLLOW) == 0;
}

// As the effective user, with the effective capabilities.
bool may_use_state(const std::vector<std::string>& files) {
  if (!may(".", R_OK | W_OK | X_OK)) return false;
  for (const std::string& name : files)
    if (!may(name.c_str(), R_OK) && errno == EACCES) return false;
  return true;
}

// For good, if that user may do all that is needed; else we are who we were.
bool become_owner_of_state(const std::vector<std::string>& files) {
  struct stat st;
  uid_t uid = geteuid();
  gid_t gid = getegid();
  if (::fstat(wire::kStateFd, &st) < 0 || st.st_uid == uid) return false;
  // Leaving user 0 takes the effective capabilities away, so groups first.
  if (setegid(st.st_gid) == 0 && seteuid(st.st_uid) == 0 && may_use_state(files) && seteuid(uid) == 0 &&
      setgroups(0, nullptr) == 0 && setresgid(st.st_gid, st.st_gid, st.st_gid) == 0 &&
      setresuid(st.st_uid, st.st_uid, st.st_uid) == 0)
    return true;
  return seteuid(uid) == 0 && setegid(gid) == 0 && false;
}

}  // namespace

void drop_privileges(Backend backend) {
  // Refused without CAP_SETPCAP; then "no new privileges" alone keeps the set from mattering.
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
    prctl(PR_CAPBSET_DROP, capability);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);

  const Capabilities had = Capabilities::ours();
  uint64_t kept = 0;
  // The linear backend's file is open, and that is all it takes.
  if (had.permitted != 0 && backend == Backend::kDir) {
    std::vector<std::string> files = state_files();
    Capabilities{0, had.permitted}.apply();
    if (!may_use_state(files)) {
      had.apply();
      if (!become_owner_of_state(files)) {
        kept = had.permitted & bit(CAP_DAC_OVERRIDE);
        if (kept)
          log(LogLevel::kWarning,
              "The engine keeps CAP_DAC_OVERRIDE: neither user %u nor the state directory's owner may use "
              "all "
              "of it",
              static_cast<unsigned>(geteuid()));
      }
    }
  }
  Capabilities{kept, kept}.apply();
  // A change of user has reset it.
  prctl(PR_SET_DUMPABLE, 0);
}

void limit_resources() {
  const auto limit = [](auto resource, rlim_t value) {
    rlimit both{value, value};
    setrlimit(resource, &both);
  };
  limit(RLIMIT_NOFILE, kMaxDescriptors);
  limit(RLIMIT_NPROC, 0);
  limit(RLIMIT_AS, kMaxAddressSpaceBytes);
}

}  // namespace swtpm
