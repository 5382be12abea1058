// Memory that holds keys. Reading and deriving keys is left to TypeScript.
//
// Every function runs on the thread of the calling JavaScript environment and keeps no state.
#pragma once

#include <napi.h>

namespace swtpm::addon {

void RegisterMemory(Napi::Env env, Napi::Object exports);

}  // namespace swtpm::addon
