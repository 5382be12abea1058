// swtpm_native: what JavaScript cannot do itself. This file only registers; src/system/native.ts is the typed
// interface and turns results into errors.
//
// Nothing throws across the boundary. A function returns a value that is not negative, or a negative errno.
// There is no static state, so any number of workers may load the addon, and load it again.

#include <napi.h>

#include "addon/capabilities.h"
#include "addon/file_lock.h"
#include "addon/memory.h"
#include "addon/poller.h"
#include "addon/process.h"
#include "addon/sockets.h"
#include "addon/syscall_filter.h"
#include "addon/unix_fds.h"

namespace swtpm::addon {
namespace {

Napi::Object Initialize(Napi::Env env, Napi::Object exports) {
  RegisterUnixFds(env, exports);
  RegisterSockets(env, exports);
  RegisterFileLock(env, exports);
  RegisterProcess(env, exports);
  RegisterCapabilities(env, exports);
  RegisterMemory(env, exports);
  RegisterSyscallFilter(env, exports);
  Poller::Register(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(swtpm_native, Initialize)

}  // namespace swtpm::addon
