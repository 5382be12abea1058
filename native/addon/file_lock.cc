#include "addon/file_lock.h"

#include <sys/file.h>

#include "addon/arguments.h"
#include "common/file_lock.h"

namespace swtpm::addon {
namespace {

Napi::Value LockFile(const Napi::CallbackInfo& info) {
  return Result(info, lock_file(IntArgument(info, 0)));
}

Napi::Value UnlockFile(const Napi::CallbackInfo& info) {
  return Result(info, unlock_file(IntArgument(info, 0)));
}

Napi::Value LockHolder(const Napi::CallbackInfo& info) {
  return Result(info, lock_holder(IntArgument(info, 0)));
}

Napi::Value LockDescription(const Napi::CallbackInfo& info) {
  return SystemResult(info, flock(IntArgument(info, 0), LOCK_EX | LOCK_NB));
}

Napi::Value UnlockDescription(const Napi::CallbackInfo& info) {
  return SystemResult(info, flock(IntArgument(info, 0), LOCK_UN));
}

}  // namespace

void RegisterFileLock(Napi::Env env, Napi::Object exports) {
  exports.Set("lockFile", Napi::Function::New<LockFile>(env, "lockFile"));
  exports.Set("unlockFile", Napi::Function::New<UnlockFile>(env, "unlockFile"));
  exports.Set("lockHolder", Napi::Function::New<LockHolder>(env, "lockHolder"));
  exports.Set("lockDescription", Napi::Function::New<LockDescription>(env, "lockDescription"));
  exports.Set("unlockDescription", Napi::Function::New<UnlockDescription>(env, "unlockDescription"));
}

}  // namespace swtpm::addon
