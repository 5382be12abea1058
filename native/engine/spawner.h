// Starts engines for a supervisor that has given up the right to start programs. A process of its own, begun
// before that, which has no state, no keys and no device: it forks, tells how its children ended, and kills
// those that do not.
#pragma once

#include "engine/channel/options.h"

namespace swtpm {

// Serves fd 3 until it ends, and then waits for its engines. What it starts is fixed: the program at `path`,
// or a copy of itself that does `run_engine`, which returns the exit code; never with less of a system call
// filter than `options` says. Returns in neither process.
[[noreturn]] void run_spawner(const char* path, const Options& options,
                              int (*run_engine)(int argc, char** argv));

}  // namespace swtpm
