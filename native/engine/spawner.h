// Starts engines for a supervisor that has given up the right to start programs. A process of its own, begun
// before that, which has no state, no keys and no device: it forks, and tells how its children ended.
#pragma once

namespace swtpm {

// Serves fd 3 until it ends. `run_engine` is what a child does that is not to be a fresh program; it returns
// the exit code. Returns in neither case.
[[noreturn]] void run_spawner(int (*run_engine)(int argc, char** argv));

}  // namespace swtpm
