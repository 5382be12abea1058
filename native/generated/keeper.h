// Made from contract/keeper.ts by `npm run contract`; do not edit.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace swtpm::wire {

inline constexpr char kKeeperFdVariable[] = "SWTPM_KEEPER_FD";
inline constexpr size_t kMaxKeeperMessageBytes = 8192;
inline constexpr size_t kMaxKeeperFds = 12;

// What Node asks.
inline constexpr uint32_t kAskServe = 1;
inline constexpr uint32_t kAskReady = 2;
inline constexpr uint32_t kAskEngine = 3;
inline constexpr uint32_t kAskUser = 4;
inline constexpr uint32_t kAskSpawn = 5;
inline constexpr uint32_t kAskKill = 6;
inline constexpr uint32_t kAskLock = 7;
inline constexpr uint32_t kAskUnlock = 8;
inline constexpr uint32_t kAskConfine = 9;
inline constexpr uint32_t kAskRest = 10;
inline constexpr uint32_t kAskResumed = 11;
inline constexpr uint32_t kAskNotify = 12;

// What the keeper says.
inline constexpr uint32_t kSayReply = 32;
inline constexpr uint32_t kSaySignal = 33;
inline constexpr uint32_t kSayEngineEnded = 34;
inline constexpr uint32_t kSayWake = 35;

inline constexpr uint32_t kConfineBecomeUser = 1;
inline constexpr uint32_t kConfineSeccompLog = 2;
inline constexpr uint32_t kConfineSeccompKill = 4;
inline constexpr uint32_t kConfineNeverRests = 8;

inline constexpr uint32_t kRestClient = 1;
inline constexpr uint32_t kRestEndWithClient = 2;
inline constexpr uint32_t kRestSharedState = 4;

}  // namespace swtpm::wire
