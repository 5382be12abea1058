#include "addon/process.h"

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "addon/arguments.h"

namespace swtpm::addon {
namespace {

// (uid_t)-1 and (gid_t)-1 mean "leave it as it is" to the kernel, so they are nobody's ids.
constexpr int64_t kMaxId = std::numeric_limits<uint32_t>::max() - 1;

// `text` as an id if it is nothing but digits.
std::optional<int64_t> NumericId(const std::string& text) {
  int64_t id = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, id);
  if (error != std::errc() || stop != end || text.front() == '-') return std::nullopt;
  return id;
}

// Runs one of the get…nam_r functions with a buffer that is large enough. Returns 0 or -errno, -ENOENT if
// there is no such entry; `entry` refers to `buffer`.
template <typename Entry>
int LookUp(int (*function)(const char*, Entry*, char*, size_t, Entry**), const std::string& name,
           Entry* entry, std::vector<char>* buffer) {
  for (buffer->resize(1024);; buffer->resize(buffer->size() * 2)) {
    Entry* found = nullptr;
    const int error = function(name.c_str(), entry, buffer->data(), buffer->size(), &found);
    if (error == ERANGE || error == EINTR) continue;
    if (found != nullptr) return 0;
    // getpwnam(3): what "not found" returns differs between name services.
    return error == 0 || error == ESRCH || error == EBADF || error == EPERM ? -ENOENT : -error;
  }
}

// userByName(name) -> [uid, gid, [all gids]] or -errno, -ENOENT if there is no such user, -ERANGE for an
// impossible id. A decimal number stands for a uid and, as in the C swtpm, the gid of the same number. May
// wait for a directory service. Do this before chroot().
Napi::Value UserByName(const Napi::CallbackInfo& info) {
  const auto name = TextArgument(info, 0);
  if (!name || name->empty()) return Result(info, -ENOENT);
  int64_t uid;
  int64_t gid;
  std::vector<gid_t> groups(16);
  if (const auto id = NumericId(*name)) {
    if (*id > kMaxId) return Result(info, -ERANGE);
    uid = gid = *id;
    groups.assign(1, static_cast<gid_t>(gid));
  } else {
    passwd entry;
    std::vector<char> buffer;
    const int error = LookUp(getpwnam_r, *name, &entry, &buffer);
    if (error < 0) return Result(info, error);
    uid = entry.pw_uid;
    gid = entry.pw_gid;
    auto count = static_cast<int>(groups.size());
    while (getgrouplist(name->c_str(), entry.pw_gid, groups.data(), &count) < 0) {
      groups.resize(groups.size() * 2);
      count = static_cast<int>(groups.size());
    }
    groups.resize(static_cast<size_t>(count));
  }
  const Napi::Env env = info.Env();
  auto gids = Napi::Array::New(env, groups.size());
  for (uint32_t i = 0; i < groups.size(); i++) gids.Set(i, Napi::Number::New(env, groups[i]));
  auto user = Napi::Array::New(env, 3);
  user.Set(0U, Napi::Number::New(env, static_cast<double>(uid)));
  user.Set(1U, Napi::Number::New(env, static_cast<double>(gid)));
  user.Set(2U, gids);
  return user;
}

// groupByName(name) -> gid or -errno, -ENOENT if there is no such group. A decimal number stands for itself.
// May wait for a directory service.
Napi::Value GroupByName(const Napi::CallbackInfo& info) {
  const auto name = TextArgument(info, 0);
  if (!name || name->empty()) return Result(info, -ENOENT);
  if (const auto id = NumericId(*name)) return Result(info, *id > kMaxId ? -ERANGE : *id);
  group entry;
  std::vector<char> buffer;
  const int error = LookUp(getgrnam_r, *name, &entry, &buffer);
  return Result(info, error < 0 ? error : static_cast<int64_t>(entry.gr_gid));
}

// switchUser(uid, gid, groups) -> 0 or -errno. Whole process: the C library changes every thread. For good:
// real, effective and saved ids change, and from root to another user the capabilities go, too. The kernel
// then makes the process undumpable and forgets setParentDeathSignal(). After an error the process may be
// half changed: end it.
Napi::Value SwitchUser(const Napi::CallbackInfo& info) {
  const int64_t uid = WideArgument(info, 0);
  const int64_t gid = WideArgument(info, 1);
  if (uid < 0 || uid > kMaxId || gid < 0 || gid > kMaxId || !info[2].IsArray()) return Result(info, -EINVAL);
  const auto list = info[2].As<Napi::Array>();
  std::vector<gid_t> groups(list.Length());
  for (uint32_t i = 0; i < groups.size(); i++) {
    const Napi::Value group = list[i];
    if (napi_get_value_uint32(info.Env(), group, &groups[i]) != napi_ok) return Result(info, -EINVAL);
  }
  const auto user = static_cast<uid_t>(uid);
  const auto primary = static_cast<gid_t>(gid);
  if (setgroups(groups.size(), groups.data()) < 0 || setresgid(primary, primary, primary) < 0 ||
      setresuid(user, user, user) < 0) {
    return SystemResult(info, -1);
  }
  return Result(info, 0);
}

// chroot(path) -> 0 or -errno. Whole process; the working directory becomes the new root. Descriptors that
// are open stay as they are. If chroot(2) itself fails, the working directory has changed to `path` already.
Napi::Value Chroot(const Napi::CallbackInfo& info) {
  const auto path = TextArgument(info, 0);
  if (!path) return Result(info, -EINVAL);
  if (chdir(path->c_str()) < 0 || ::chroot(".") < 0 || chdir("/") < 0) return SystemResult(info, -1);
  return Result(info, 0);
}

// setNoNewPrivileges() -> 0 or -errno. Calling thread and its children, for good: no set-uid program gives
// them anything.
Napi::Value SetNoNewPrivileges(const Napi::CallbackInfo& info) {
  return SystemResult(info, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

// setDumpable(on) -> 0 or -errno. Whole process: off means no core dump and no debugger or /proc/PID/mem for
// other processes of the same user. execve() switches it on again in children.
Napi::Value SetDumpable(const Napi::CallbackInfo& info) {
  return SystemResult(info, prctl(PR_SET_DUMPABLE, FlagArgument(info, 0) ? 1 : 0, 0, 0, 0));
}

// disableCoreDumps() -> 0 or -errno. Whole process and its children, for good. Core files only: where the
// kernel pipes cores to a program (core(5)), setDumpable is what helps.
Napi::Value DisableCoreDumps(const Napi::CallbackInfo& info) {
  const rlimit none{0, 0};
  return SystemResult(info, setrlimit(RLIMIT_CORE, &none));
}

// setParentDeathSignal(signal) -> 0 or -errno; 0 switches it off. Whole process gets the signal when the
// thread that spawned it ends. It does not come if the parent has gone already, and switchUser() switches it
// off.
Napi::Value SetParentDeathSignal(const Napi::CallbackInfo& info) {
  return SystemResult(info, prctl(PR_SET_PDEATHSIG, IntArgument(info, 0), 0, 0, 0));
}

}  // namespace

void RegisterProcess(Napi::Env env, Napi::Object exports) {
  exports.Set("userByName", Napi::Function::New<UserByName>(env, "userByName"));
  exports.Set("groupByName", Napi::Function::New<GroupByName>(env, "groupByName"));
  exports.Set("switchUser", Napi::Function::New<SwitchUser>(env, "switchUser"));
  exports.Set("chroot", Napi::Function::New<Chroot>(env, "chroot"));
  exports.Set("setNoNewPrivileges", Napi::Function::New<SetNoNewPrivileges>(env, "setNoNewPrivileges"));
  exports.Set("setDumpable", Napi::Function::New<SetDumpable>(env, "setDumpable"));
  exports.Set("disableCoreDumps", Napi::Function::New<DisableCoreDumps>(env, "disableCoreDumps"));
  exports.Set("setParentDeathSignal", Napi::Function::New<SetParentDeathSignal>(env, "setParentDeathSignal"));
}

}  // namespace swtpm::addon
