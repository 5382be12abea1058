#include "addon/memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "addon/arguments.h"
#include "common/unique_fd.h"

namespace swtpm::addon {
namespace {

Napi::Value SharedMemory(const Napi::CallbackInfo& info) {
  UniqueFd memory(memfd_create("swtpm", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (memory.get() < 0 || ftruncate(memory.get(), IntArgument(info, 0)) < 0) return SystemResult(info, -1);
  // Sealed, so that no process can shrink it while others have it mapped.
  if (fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
    return SystemResult(info, -1);
  return Result(info, memory.release());
}

}  // namespace

void RegisterMemory(Napi::Env env, Napi::Object exports) {
  exports.Set("sharedMemory", Napi::Function::New<SharedMemory>(env, "sharedMemory"));
}

}  // namespace swtpm::addon
