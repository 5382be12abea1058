// The keeper of one TPM: parent of Node and of the engines, owner of the lock on the state, and alone with
// the engine while nothing is to be decided. docs/design/0007-sleeping-supervisor.md has the states.
#pragma once

#include <sys/types.h>

namespace swtpm::keeper {

// Serves until the TPM has ended, and returns the exit code. Signals are blocked, and come by `signals`.
// `first` is the process that the user started, to be told of READY; -1 when this is that process.
int keep(int connection, pid_t node, int signals, int first);

}  // namespace swtpm::keeper
