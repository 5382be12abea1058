// Which two programs a keeper starts: Node with the supervisor's program, and the engine. That is fixed when
// the keeper begins.
#pragma once

#include <sys/types.h>

namespace swtpm::keeper {

// Where the files are. False, with everything said, when this program does not find its installation.
bool find_programs(int argc, char** argv);

const char* node_program();
// Whether the command line may be that of a TPM, or of many.
bool may_serve(int argc, char** argv);
// Executes Node in place of this process, with the user's whole environment: for what serves nothing, and may
// run a command of the user's at this terminal. Returns errno.
int become_node();
const char* engine_program();
// Of engines: nothing of ours but the way to a libtpms outside the system's folders.
char** engine_environment();

// Node, as a child. `connection` is what it inherits beside the standard streams and what the user handed in;
// `wake`: it goes on where another one has ended. Returns its process number, or -errno.
pid_t start_node(int connection, bool wake);

}  // namespace swtpm::keeper
