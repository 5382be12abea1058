// Which program this is, and with which libtpms: whether two engines are the same, whatever their version
// says.
#pragma once

#include <stdint.h>

namespace swtpm {

// Made of the build ids of both; 0 where one of them has none.
uint32_t build_number();

}  // namespace swtpm
