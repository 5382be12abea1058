// Sockets that listen, and what they accept: what node:net cannot do with bare descriptors that are to be
// handed to another process. Removing a stale socket file and choosing addresses is left to TypeScript.
//
// Every function runs on the thread of the calling JavaScript environment and keeps no state.
#pragma once

#include <napi.h>

namespace swtpm::addon {

void RegisterSockets(Napi::Env env, Napi::Object exports);

}  // namespace swtpm::addon
