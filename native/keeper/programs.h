// The two programs that a keeper starts: Node with the supervisor's program, and the engine. Which files
// these are is fixed when the keeper begins.
#pragma once

#include <sys/types.h>

#include "keeper/message.h"

namespace swtpm::keeper {

// Where the files are. False, with everything said, when this program does not find its installation.
bool find_programs(int argc, char** argv);

// Node, as a child. `connection` is what it inherits beside the standard streams and what the user handed in;
// `wake`: it goes on where another one has ended. Returns its process number, or -errno.
pid_t start_node(int connection, bool wake);

// Who engines run as.
struct User {
  bool given;
  uid_t uid;
  gid_t gid;
  gid_t groups[256];
  size_t group_count;
};

// Becomes that user for good. False with errno.
bool become(const User& user);

// How engines are started, from ENGINE on.
struct EngineStart {
  char words[wire::kMaxKeeperMessageBytes];
  size_t size;
  int state_fd;
  int shared_fd;
  int log_fd;
};

// An engine, as a child. `channel` becomes its end of the engine channel. Returns its process number, or
// -errno.
pid_t start_engine(EngineStart& start, const User& user, int channel);

// Node's program, for messages.
const char* node_program();

}  // namespace swtpm::keeper
