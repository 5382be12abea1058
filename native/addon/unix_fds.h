// Descriptors: socket pairs, passing descriptors over Unix sockets (SCM_RIGHTS), and descriptor flags.
// Which bytes travel with which descriptor is the business of the callers, src/engine-client and src/control.
//
// Every function runs on the thread of the calling JavaScript environment and keeps no state. None waits on a
// non-blocking descriptor; on a blocking one, sendMessage and receiveMessage hold up that thread's event
// loop.
#pragma once

#include <napi.h>

namespace swtpm::addon {

void RegisterUnixFds(Napi::Env env, Napi::Object exports);

}  // namespace swtpm::addon
