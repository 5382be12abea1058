// Confines the engine before it serves: it cannot open files outside the state directory, nor use a system
// call that is not on a short list. So a guest that takes over the engine by way of the TPM has nothing but
// the TPM.
#pragma once

#include "engine/channel/options.h"

namespace swtpm {

// Makes the state directory the root, where the process may do that: for a kernel without Landlock. Before
// drop_privileges(). Returns whether it is.
bool enter_state_directory(Backend backend);

// Landlock: no path outside the state directory can be opened any more. This holds for the calling thread and
// for threads that it starts later. A kernel without Landlock is no error.
void confine_files(Backend backend, bool entered);

// seccomp, for all threads. False, after a log line, if the filter could not be installed.
bool confine_system_calls(const Options& options);

}  // namespace swtpm
