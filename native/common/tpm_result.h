// TPM result codes that the engine itself produces. Declared here, away from libtpms's headers, so that the
// state and wire layers need neither.
#pragma once

#include <cstdint>

namespace swtpm {

using TpmResult = uint32_t;

// TPM 1.2 Part 2, 16; also the results of all PTM verbs.
inline constexpr TpmResult kTpmSuccess = 0;
inline constexpr TpmResult kTpmBadParameter = 0x03;
inline constexpr TpmResult kTpmFail = 0x09;
inline constexpr TpmResult kTpmBadOrdinal = 0x0a;
inline constexpr TpmResult kTpmKeyNotFound = 0x0d;
inline constexpr TpmResult kTpmSize = 0x17;
inline constexpr TpmResult kTpmBadParamSize = 0x19;
inline constexpr TpmResult kTpmIoError = 0x1f;
inline constexpr TpmResult kTpmEncryptError = 0x20;
inline constexpr TpmResult kTpmDecryptError = 0x21;
inline constexpr TpmResult kTpmBadKeyProperty = 0x28;
inline constexpr TpmResult kTpmBadDataSize = 0x2b;
inline constexpr TpmResult kTpmBadVersion = 0x2e;
inline constexpr TpmResult kTpmBadLocality = 0x3d;
inline constexpr TpmResult kTpmRetry = 0x800;  // of a load: there is no such blob

// TPM 2.0 Part 2, 6.6.
inline constexpr TpmResult kTpmRcInsufficient = 0x09a;
inline constexpr TpmResult kTpmRcInitialize = 0x100;
inline constexpr TpmResult kTpmRcFailure = 0x101;
inline constexpr TpmResult kTpmRcLocality = 0x107;
inline constexpr TpmResult kTpmRcCommandSize = 0x142;
inline constexpr TpmResult kTpmRcCanceled = 0x909;
inline constexpr TpmResult kTpmRcNvUnavailable = 0x923;

}  // namespace swtpm
