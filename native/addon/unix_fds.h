// Descriptors: socket pairs, passing descriptors over Unix sockets (SCM_RIGHTS), and descriptor flags. Which
// bytes a descriptor is sent with is decided by the callers, src/engine-client and src/serve/control.
#pragma once

#include <napi.h>

namespace swtpm::addon {

void RegisterUnixFds(Napi::Env env, Napi::Object exports);

}  // namespace swtpm::addon
