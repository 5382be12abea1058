// What libtpms asks of its surroundings: state to load and store, and the locality. libtpms's callbacks carry
// no context, so there is one set per process.
#pragma once

#include <cstdint>
#include <functional>

#include "state/nv_state.h"

namespace swtpm::callbacks {

// Both must outlive libtpms, that is, exist until the process ends.
void install(NvState& state, std::function<uint8_t()> locality);

}  // namespace swtpm::callbacks
