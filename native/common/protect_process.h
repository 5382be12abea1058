// What every native process that has to do with a TPM forbids: to be looked into, and to gain rights.
#pragma once

#include <sys/prctl.h>
#include <sys/resource.h>

namespace swtpm {

// No core dump, no ptrace by others of the same user, "no new privileges". Call it again after a change of
// user, which may undo it. False with errno.
inline bool protect_process() {
  rlimit no_core{0, 0};
  return prctl(PR_SET_DUMPABLE, 0) == 0 && setrlimit(RLIMIT_CORE, &no_core) == 0 &&
         prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

}  // namespace swtpm
