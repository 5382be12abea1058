// The supervisor's own seccomp filter: a list of system calls that it does not need once it has opened all
// its files and devices. It lists what is forbidden, not what is allowed, because Node needs many calls, and
// others with each version. The engine, which reads what a guest sends, has a strict list of allowed calls
// (engine/confine/sandbox.h).
#pragma once

#include <napi.h>

namespace swtpm::addon {

void RegisterSyscallFilter(Napi::Env env, Napi::Object exports);

}  // namespace swtpm::addon
