// The supervisor's own seccomp filter: a list of system calls that a program which has opened everything it
// needs has no business making. It is a list of what is forbidden, not of what is allowed, because the
// JavaScript engine needs a wide and changing set of calls; the strict list is the engine process's
// (engine/sandbox.h), which is the one that reads what a guest sends.
#pragma once

#include <napi.h>

namespace swtpm::addon {

void RegisterSyscallFilter(Napi::Env env, Napi::Object exports);

}  // namespace swtpm::addon
