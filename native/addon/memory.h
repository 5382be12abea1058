// Memory that several processes map: the shared state of a TPM's engines.
#pragma once

#include <napi.h>

namespace swtpm::addon {

void RegisterMemory(Napi::Env env, Napi::Object exports);

}  // namespace swtpm::addon
