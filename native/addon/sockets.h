// Sockets that listen, and what they accept, as bare descriptors that can be passed to another process;
// node:net has no way to do that. TypeScript removes stale socket files and chooses addresses.
#pragma once

#include <napi.h>

namespace swtpm::addon {

void RegisterSockets(Napi::Env env, Napi::Object exports);

}  // namespace swtpm::addon
