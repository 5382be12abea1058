// swtpm_native: what JavaScript cannot do itself. src/system/native/types.ts documents every function:
// arguments, results, and whether it concerns the thread or the process. This file only registers them.
//
// Every function runs on the thread of the calling JavaScript environment. It returns a value that is not
// negative, or a negative errno, and never throws. Only capabilities.cc has static state, which is the
// process's; so any number of workers may load the addon, more than once each.

#include <napi.h>

#include "addon/capabilities.h"
#include "addon/devices.h"
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
  RegisterDevices(env, exports);
  RegisterSyscallFilter(env, exports);
  Poller::Register(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(swtpm_native, Initialize)

}  // namespace swtpm::addon
