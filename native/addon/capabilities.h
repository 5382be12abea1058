// Gives up capabilities in all threads of the process.
#pragma once

#include <napi.h>

namespace swtpm::addon {

void RegisterCapabilities(Napi::Env env, Napi::Object exports);

}  // namespace swtpm::addon
