#include "engine/confine/privileges.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "common/capabilities.h"
#include "common/log.h"
#include "common/reason.h"
#include "common/unique_fd.h"
#include "generated/contract.h"
#include "state/journal.h"

namespace swtpm {
namespace {

// Standard streams, channel, state, listener, client or device, and a state file or two.
// Several times what libraries, stacks and the largest state take.
constexpr rlim_t kMaxAddressSpaceBytes = 256 << 20;

constexpr long kFaccessat2 = 439;  // later than some C library's headers; the same on all architectures

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

bool is_state_file(const char* name) {
  return strncmp(name, "tpm-00.", 7) == 0 || strncmp(name, "tpm2-00.", 8) == 0;
}

// The names of all files that may be state: of both TPM versions, and the backup.
std::vector<std::string> state_files() {
  std::vector<std::string> names;
  UniqueFd fd(::openat(wire::kStateFd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::unique_ptr<DIR, CloseDirectory> directory(fd ? fdopendir(fd.get()) : nullptr);
  if (!directory) return names;
  fd.release();
  while (const dirent* entry = readdir(directory.get()))
    if (is_state_file(entry->d_name)) names.emplace_back(entry->d_name);
  return names;
}

bool may(const char* name, int mode) {
  // Not the C library's faccessat(): on old kernels it decides by itself, and lets root do everything.
  return syscall(kFaccessat2, wire::kStateFd, name, mode, AT_EACCESS | AT_SYMLINK_NOFOLLOW) == 0;
}

// Whether the effective user may, with the effective capabilities.
bool may_use_state(const std::vector<std::string>& files) {
  if (!may(".", R_OK | W_OK | X_OK)) return false;
  for (const std::string& name : files)
    if (!may(name.c_str(), R_OK) && errno == EACCES) return false;
  return true;
}

// A file of their own is no reason to stay root: its owner can give the rights, and can take them to keep us
// root.
std::vector<std::string> files_of_others(const std::vector<std::string>& files, uid_t owner) {
  std::vector<std::string> others;
  for (const std::string& name : files) {
    struct stat st;
    if (::fstatat(wire::kStateFd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_uid != owner)
      others.push_back(name);
  }
  return others;
}

// Whether the state directory's owner may use all of the state. On success, the process has that effective
// user and group.
bool try_owner_of_state(const struct stat& directory, const std::vector<std::string>& files) {
  // Groups first: leaving user 0 takes the effective capabilities away.
  return setegid(directory.st_gid) == 0 && seteuid(directory.st_uid) == 0 &&
         may_use_state(files_of_others(files, directory.st_uid));
}

// Becomes the owner of the state directory, irreversibly, if that user may do all that is needed. Otherwise
// the process keeps its user and group.
bool become_owner_of_state(const std::vector<std::string>& files) {
  struct stat st;
  uid_t uid = geteuid();
  gid_t gid = getegid();
  if (::fstat(wire::kStateFd, &st) < 0 || st.st_uid == uid) return false;
  if (try_owner_of_state(st, files) && seteuid(uid) == 0 && setgroups(0, nullptr) == 0 &&
      setresgid(st.st_gid, st.st_gid, st.st_gid) == 0 && setresuid(st.st_uid, st.st_uid, st.st_uid) == 0)
    return true;
  if (seteuid(uid) < 0 || setegid(gid) < 0)
    log(LogLevel::kError, "Cannot return to user %u: %s", static_cast<unsigned>(uid), reason_of(errno).text);
  return false;
}

// A whole journal, or some copies of the largest state in one file; and a file that is larger already.
rlim_t max_file_bytes() {
  struct stat st;
  bool is_file = ::fstat(wire::kStateFd, &st) == 0 && S_ISREG(st.st_mode);
  return std::max<rlim_t>(Journal::kMaxFileSizeBytes, is_file ? static_cast<rlim_t>(st.st_size) : 0);
}

}  // namespace

void drop_privileges(Backend backend) {
  // Without CAP_SETPCAP the bounding set stays, but has no effect: the process has "no new privileges".
  limit_bounding_and_ambient_set();

  Capabilities had;
  had.read();
  uint64_t kept = 0;
  // The linear backend needs no more than its file, which is open.
  if (had.permitted != 0 && backend == Backend::kDir) {
    std::vector<std::string> files = state_files();
    Capabilities{0, had.permitted}.apply();
    if (!may_use_state(files)) {
      had.apply();
      if (!become_owner_of_state(files)) {
        kept = had.permitted & Capabilities::bit(CAP_DAC_OVERRIDE);
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
  // A change of user may have changed it.
  prctl(PR_SET_DUMPABLE, 0);
}

void limit_resources(const Options& options) {
  const auto limit = [](auto resource, rlim_t value) {
    rlimit both{value, value};
    setrlimit(resource, &both);
  };
  limit(RLIMIT_NOFILE, max_descriptors(options));
  limit(RLIMIT_NPROC, 0);
  limit(RLIMIT_AS, kMaxAddressSpaceBytes);
  // Beyond it write() is refused; main() ignores the signal.
  limit(RLIMIT_FSIZE, max_file_bytes());
}

}  // namespace swtpm
