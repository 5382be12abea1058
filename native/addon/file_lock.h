// The locks on a state file or lock file, of two kinds; src/system/native/types.ts says what each one means.
//
// lockFile() takes a POSIX record lock, because the C swtpm does: so neither program opens a state directory
// that the other one uses. lockDescription() takes a flock() lock, which child processes inherit.
#pragma once

#include <napi.h>

namespace swtpm::addon {

void RegisterFileLock(Napi::Env env, Napi::Object exports);

}  // namespace swtpm::addon
