#include "addon/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "addon/arguments.h"

namespace swtpm::addon {
namespace {

// The whole file, also when it grows.
struct flock WholeFile(int16_t type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

Napi::Value LockFile(const Napi::CallbackInfo& info) {
  struct flock lock = WholeFile(F_WRLCK);
  const int result = fcntl(IntArgument(info, 0), F_SETLK, &lock);
  // POSIX allows both for a conflict, and NFS uses the other one.
  if (result < 0 && errno == EACCES) errno = EAGAIN;
  return SystemResult(info, result);
}

Napi::Value UnlockFile(const Napi::CallbackInfo& info) {
  struct flock lock = WholeFile(F_UNLCK);
  return SystemResult(info, fcntl(IntArgument(info, 0), F_SETLK, &lock));
}

Napi::Value LockHolder(const Napi::CallbackInfo& info) {
  struct flock lock = WholeFile(F_WRLCK);
  if (fcntl(IntArgument(info, 0), F_GETLK, &lock) < 0) return SystemResult(info, -1);
  if (lock.l_type == F_UNLCK) return Result(info, 0);
  // 0 or -1: the holder is in another pid namespace, or the lock belongs to an open file description.
  return Result(info, lock.l_pid > 0 ? lock.l_pid : -ESRCH);
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
