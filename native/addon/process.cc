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

// To the kernel, (uid_t)-1 and (gid_t)-1 mean "do not change", so no user or group has them.
constexpr int64_t kMaxId = std::numeric_limits<uint32_t>::max() - 1;

// `text` as an id if it is nothing but digits.
std::optional<int64_t> NumericId(const std::string& text) {
  int64_t id = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, id);
  if (error != std::errc() || stop != end || text.front() == '-') return std::nullopt;
  return id;
}

// Calls getpwnam_r() or getgrnam_r() with a buffer that is large enough. Returns 0 or -errno, -ENOENT if
// there is no such entry. `entry` points into `buffer`.
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

Napi::Value GroupByName(const Napi::CallbackInfo& info) {
  const auto name = TextArgument(info, 0);
  if (!name || name->empty()) return Result(info, -ENOENT);
  if (const auto id = NumericId(*name)) return Result(info, *id > kMaxId ? -ERANGE : *id);
  group entry;
  std::vector<char> buffer;
  const int error = LookUp(getgrnam_r, *name, &entry, &buffer);
  return Result(info, error < 0 ? error : static_cast<int64_t>(entry.gr_gid));
}

// The C library changes the ids of every thread.
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

Napi::Value Chroot(const Napi::CallbackInfo& info) {
  const auto path = TextArgument(info, 0);
  if (!path) return Result(info, -EINVAL);
  if (chdir(path->c_str()) < 0 || ::chroot(".") < 0 || chdir("/") < 0) return SystemResult(info, -1);
  return Result(info, 0);
}

Napi::Value SetNoNewPrivileges(const Napi::CallbackInfo& info) {
  return SystemResult(info, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

Napi::Value SetDumpable(const Napi::CallbackInfo& info) {
  return SystemResult(info, prctl(PR_SET_DUMPABLE, FlagArgument(info, 0) ? 1 : 0, 0, 0, 0));
}

Napi::Value DisableCoreDumps(const Napi::CallbackInfo& info) {
  const rlimit none{0, 0};
  return SystemResult(info, setrlimit(RLIMIT_CORE, &none));
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
}

}  // namespace swtpm::addon
