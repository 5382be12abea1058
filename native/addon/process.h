// Giving up privileges: user, root directory, core dumps; and being told of the parent's death.
// What is given up when, and what --runas means, is decided in TypeScript.
//
// Every function runs on the thread of the calling JavaScript environment and keeps no state. Node has more
// threads (file operations, compilation, workers), so each comment says whom a call concerns: the whole
// process, or the calling thread and the children it spawns. Call the latter on the main thread, before the
// first file operation that is not synchronous.
#pragma once

#include <napi.h>

namespace swtpm::addon {

void RegisterProcess(Napi::Env env, Napi::Object exports);

}  // namespace swtpm::addon
