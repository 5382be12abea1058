#include "addon/memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "addon/arguments.h"
#include "common/unique_fd.h"

namespace swtpm::addon {
namespace {

// wipe(bytes) -> 0. Overwrites with zeros, which no compiler leaves out. Copies the engine made elsewhere,
// strings above all, are out of reach: keep keys in one Buffer from the start.
Napi::Value Wipe(const Napi::CallbackInfo& info) {
  const auto bytes = BytesArgument(info, 0);
  if (!bytes) return Result(info, -EINVAL);
  if (!bytes->empty()) explicit_bzero(bytes->data(), bytes->size());
  return Result(info, 0);
}

// lockPages(bytes) -> 0 or -errno, -ENOMEM or -EPERM beyond the limit on locked memory. Keeps the pages of
// `bytes` out of swap and of core dumps, as far as possible: they are kept out of dumps also if they cannot
// be locked. It concerns whole pages, with whatever else lies on them, and lasts after `bytes` is gone.
Napi::Value LockPages(const Napi::CallbackInfo& info) {
  const auto bytes = BytesArgument(info, 0);
  if (!bytes) return Result(info, -EINVAL);
  if (bytes->empty()) return Result(info, 0);
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<uintptr_t>(bytes->data()) & ~(page - 1);
  const auto end = (reinterpret_cast<uintptr_t>(bytes->data()) + bytes->size() + page - 1) & ~(page - 1);
  auto* pages = reinterpret_cast<void*>(first);
  const int dump_result = madvise(pages, end - first, MADV_DONTDUMP);
  const int dump_error = errno;
  if (mlock(pages, end - first) < 0) return SystemResult(info, -1);
  return Result(info, dump_result < 0 ? -dump_error : 0);
}

// sharedMemory(bytes) -> fd or -errno. Sealed: nobody can take the memory away from under those who map it.
Napi::Value SharedMemory(const Napi::CallbackInfo& info) {
  UniqueFd memory(memfd_create("swtpm", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (memory.get() < 0 || ftruncate(memory.get(), IntArgument(info, 0)) < 0) return SystemResult(info, -1);
  if (fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
    return SystemResult(info, -1);
  return Result(info, memory.release());
}

}  // namespace

void RegisterMemory(Napi::Env env, Napi::Object exports) {
  exports.Set("wipe", Napi::Function::New<Wipe>(env, "wipe"));
  exports.Set("sharedMemory", Napi::Function::New<SharedMemory>(env, "sharedMemory"));
  exports.Set("lockPages", Napi::Function::New<LockPages>(env, "lockPages"));
}

}  // namespace swtpm::addon
