// What the engine gives up by itself, before any of it can be needed by somebody who has broken in: the
// capabilities of a root that started it, and resources beyond what a TPM takes.
#pragma once

#include "engine/channel/options.h"

namespace swtpm {

// Leaves the process without capabilities, also as root. Call it before threads are started, while it is
// still allowed to: who root was for the state directory only by overriding its permissions becomes the
// directory's owner instead. If that user cannot read all state files either, CAP_DAC_OVERRIDE stays, and the
// log says so.
void drop_privileges(Backend backend);

// Resource limits, for good: descriptors, address space, and no new processes or threads (the kernel does not
// count root's). Call it when all threads run.
void limit_resources();

}  // namespace swtpm
