// What OpenSSL refuses on this host: its configuration and FIPS mode take algorithms from libtpms.
#pragma once

#include <cstdint>

namespace swtpm {

// A host in FIPS mode denies algorithms that the TPM specification asks for (SHA-1, small keys). Here the
// guest decides about them, so the process leaves that mode.
void leave_fips_mode();

// Bits wire::kRefused…. In FIPS mode, if the process has left it; so libtpms must not run. Makes two RSA
// keys, which takes some 100 ms.
uint32_t refused_crypto();

}  // namespace swtpm
