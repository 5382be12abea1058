#include "addon/syscall_filter.h"

#include <cerrno>

#include "addon/arguments.h"
#include "common/syscall_filter.h"

namespace swtpm::addon {
namespace {

Napi::Value ForbidSystemCalls(const Napi::CallbackInfo& info) {
  SyscallFilter filter(FlagArgument(info, 0));
  filter.forbid(kStartsPrograms);
  filter.forbid(kChangesUser);
  filter.forbid(kChangesRoot);
  filter.forbid_new_processes();
  const long result = filter.install();
  if (result > 0) return Result(info, -ESRCH);  // the id of a thread that has another filter
  return SystemResult(info, result);
}

}  // namespace

void RegisterSyscallFilter(Napi::Env env, Napi::Object exports) {
  exports.Set("forbidSystemCalls", Napi::Function::New<ForbidSystemCalls>(env, "forbidSystemCalls"));
}

}  // namespace swtpm::addon
