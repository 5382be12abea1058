// What the engine gives up before it reads anything from a client: the capabilities that it has when root
// starts it, and resources that a TPM does not need.
#pragma once

#include <stdint.h>

#include "engine/channel/options.h"

namespace swtpm {

// Of an engine that serves; their numbers are below this. With a resource manager each connection
// has one.
inline constexpr uint64_t max_descriptors(const Options& options) {
  return options.resource_manager ? 512 : 32;
}

// Leaves the process without capabilities, also as root. Where root may use the state directory only by its
// capabilities, the process becomes the user who owns the directory. Where that user may not use all state
// files either, CAP_DAC_OVERRIDE stays, and the log says so. Call it before threads are started, and before
// the sandbox forbids it.
void drop_privileges(Backend backend);

// Limits descriptors, address space and the size of files, and forbids new processes and threads (to root,
// the kernel does not apply that). Irreversible. Call it when all threads run.
void limit_resources(const Options& options);

}  // namespace swtpm
