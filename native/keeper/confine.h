// What the keeper gives up when everything is open. Its children inherit it, and give up more.
#pragma once

#include <stdint.h>

namespace swtpm::keeper {

// `flags`: see wire::kConfine*. Returns 0 or -errno; after an error the process may be half confined: end it.
int confine(uint32_t flags);

}  // namespace swtpm::keeper
