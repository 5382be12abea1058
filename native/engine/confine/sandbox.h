// What the engine can no longer do once it serves: reach files outside the state directory, and use any
// system call that is not on a short list. A guest that breaks into the TPM is left with the TPM.
#pragma once

#include "engine/channel/options.h"

namespace swtpm {

// Landlock: paths outside the state directory are gone. For the calling thread and those it starts later; a
// kernel without Landlock is no error.
void confine_files(Backend backend);

// seccomp, for all threads. False, after a log line, if the filter could not be installed.
bool confine_system_calls(const Options& options);

}  // namespace swtpm
