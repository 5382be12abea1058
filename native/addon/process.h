// Giving up privileges: user, root directory, set-uid programs, core dumps. TypeScript decides what is given
// up when.
#pragma once

#include <napi.h>

namespace swtpm::addon {

void RegisterProcess(Napi::Env env, Napi::Object exports);

}  // namespace swtpm::addon
