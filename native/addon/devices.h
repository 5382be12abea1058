// Device nodes, and whether the other side of a device is still there.
#pragma once

#include <napi.h>

namespace swtpm::addon {

void RegisterDevices(Napi::Env env, Napi::Object exports);

}  // namespace swtpm::addon
