// The lock on a state file or lock file. A POSIX record lock on purpose: it is the kind the C swtpm takes, so
// neither program opens a state directory the other one uses.
//
// The trap that comes with it: the lock belongs to the process and the file, not to the descriptor. Closing
// ANY descriptor of the same file in this process, from any thread or library, drops it. Open the lock file
// once, and never read it by name. A child does not inherit the lock.
//
// The other kind, flock(), belongs to the open file description: whoever inherits the descriptor holds the
// lock too, until the last one has closed it.
//
// Every function runs on the thread of the calling JavaScript environment and keeps no state.
#pragma once

#include <napi.h>

namespace swtpm::addon {

void RegisterFileLock(Napi::Env env, Napi::Object exports);

}  // namespace swtpm::addon
