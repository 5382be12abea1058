// The kinds of handles, and the codes of commands and responses that matter to who has what in a TPM 2.0.
// TPM 2.0 Part 2, 7.2 (handle types), 6.5.2 (TPM_CC) and 6.6 (TPM_RC).
#pragma once

#include <cstdint>

#include "common/tpm_result.h"

namespace swtpm::spaces {

inline constexpr uint16_t kTagNoSessions = 0x8001;
inline constexpr uint16_t kTagSessions = 0x8002;

inline constexpr uint32_t kHandleTypeMask = 0xff000000;
inline constexpr uint32_t kHmacSession = 0x02000000;
inline constexpr uint32_t kPolicySession = 0x03000000;
inline constexpr uint32_t kTransient = 0x80000000;
// In the question which handles there are.
inline constexpr uint32_t kLoadedSessions = 0x02000000;
inline constexpr uint32_t kSavedSessions = 0x03000000;

// A client's objects have handles from here downwards.
inline constexpr uint32_t kFirstVirtualHandle = 0x80ffffff;
// No TPM has it.
inline constexpr uint32_t kNoHandle = 0x80ffffff;

inline uint32_t type_of(uint32_t handle) {
  return handle & kHandleTypeMask;
}
// Among sessions; the TPM lists those that are saved as HMAC sessions, whatever they are.
inline uint32_t number_of(uint32_t handle) {
  return handle & ~kHandleTypeMask;
}
inline bool is_session(uint32_t handle) {
  return type_of(handle) == kHmacSession || type_of(handle) == kPolicySession;
}

// What a context was saved of, as it says itself.
inline constexpr uint32_t kSavedSequence = 0x80000001;

inline constexpr uint32_t kCcContextLoad = 0x161;
inline constexpr uint32_t kCcContextSave = 0x162;
inline constexpr uint32_t kCcFlushContext = 0x165;
inline constexpr uint32_t kCcStartAuthSession = 0x176;
inline constexpr uint32_t kCcGetCapability = 0x17a;

inline constexpr uint32_t kCapHandles = 1;
inline constexpr uint32_t kCapCommands = 2;
inline constexpr uint32_t kCapTpmProperties = 6;
inline constexpr uint32_t kPtContextGapMax = 0x114;

inline constexpr TpmResult kRcSuccess = 0;
// As the kernel's resource manager says it: the layer is the resource manager's (TSS2_RESMGR_TPM_RC_LAYER).
inline constexpr TpmResult kRcCommandCode = 0x143 | 11 << 16;
inline constexpr TpmResult kRcInitialize = 0x100;
inline constexpr TpmResult kRcFailure = 0x101;
// The command cannot have a session.
inline constexpr TpmResult kRcAuthContext = 0x145;
// The first parameter is no handle of anything that is there.
inline constexpr TpmResult kRcHandleP1 = 0x1cb;
inline constexpr TpmResult kRcContextGap = 0x901;
inline constexpr TpmResult kRcObjectMemory = 0x902;
inline constexpr TpmResult kRcSessionMemory = 0x903;
inline constexpr TpmResult kRcMemory = 0x904;
inline constexpr TpmResult kRcSessionHandles = 0x905;
inline constexpr TpmResult kRcObjectHandles = 0x906;
// The handle, counted from 0, is of nothing that is loaded.
inline constexpr TpmResult kRcReferenceH0 = 0x910;
// The same of the sessions that authorize.
inline constexpr TpmResult kRcReferenceS0 = 0x918;

// The code says that for the moment something is in the way, and not that what was asked for is wrong.
inline bool is_warning(TpmResult code) {
  return (code & 0xf80) == 0x900;
}
// What is loaded is in the way.
inline bool is_want_of_room(TpmResult code) {
  return code >= kRcContextGap && code <= kRcObjectHandles;
}

}  // namespace swtpm::spaces
