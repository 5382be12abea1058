// Capabilities belong to threads, and Node has several: file operations, compilation, one that waits for
// SIGUSR1. The kernel changes the calling thread's only, so every thread is made to change its own.
#pragma once

#include <napi.h>

namespace swtpm::addon {

void RegisterCapabilities(Napi::Env env, Napi::Object exports);

}  // namespace swtpm::addon
