// The numbers of the wire between supervisor and engine, in one place: docs/design/0001-engine-wire.md in
// C++.
#pragma once

#include <cstddef>
#include <cstdint>

namespace swtpm::wire {

// Inherited descriptors.
inline constexpr int kChannelFd = 3;
inline constexpr int kStateFd = 4;
inline constexpr int kHeritageFd = 5;
inline constexpr unsigned kFirstStrayFd = 6;

// Frame header: u32 length of the body, u32 kind, u32 id.
inline constexpr size_t kFrameHeaderSizeBytes = 12;
// The largest request is SET_STATEBLOB with 512 KiB of blob.
inline constexpr size_t kMaxBodySizeBytes = 1024 * 1024;

// Of one frame.
inline constexpr size_t kMaxFrameFds = 3;

enum class FrameKind : uint32_t { kRequest = 1, kReply = 2, kEvent = 3 };

enum class Code : uint32_t {
  // swtpm_ioctls(3): ioctl number + 1.
  kInit = 0x02,
  kShutdown = 0x03,
  kGetTpmEstablished = 0x04,
  kSetLocality = 0x05,
  kHashStart = 0x06,
  kHashData = 0x07,
  kHashEnd = 0x08,
  kCancelTpmCmd = 0x09,
  kStoreVolatile = 0x0a,
  kResetTpmEstablished = 0x0b,
  kGetStateblob = 0x0c,
  kSetStateblob = 0x0d,
  kStop = 0x0e,
  kGetConfig = 0x0f,
  kSetBuffersize = 0x11,
  kGetInfo = 0x12,
  // Private.
  kAttach = 0x1001,
  kDetach = 0x1002,
  kProcess = 0x1003,
  kSetRoute = 0x1004,
  kSetKey = 0x1005,
  kSetStorage = 0x1006,
  kPeekState = 0x1007,
  kSetProfile = 0x1008,
  kResume = 0x1009,
  kHandOver = 0x100a,
  // To the spawner.
  kSpawn = 0x2001,
};

enum class Event : uint32_t {
  kReady = 1,
  kLog = 2,
  kClientOpened = 3,
  kClientClosed = 4,
  kFuseRequest = 5,
  kStorageNeeded = 6,
  kTrace = 7,
  // From the spawner.
  kEngineEnded = 0x2001,
};

enum class AttachKind : uint32_t { kStream = 1, kListener = 2, kChardev = 3, kCuse = 4 };

enum AttachFlags : uint32_t {
  kAttachDisconnect = 1,  // close the client's connection after each response
  kAttachContinue = 2,    // another engine served it: take up what that one left in the heritage
};

enum class Route : uint32_t { kNative = 0, kSupervisor = 1 };

inline constexpr uint32_t kInitDeleteVolatile = 1;  // PTM_INIT_FLAG_DELETE_VOLATILE
inline constexpr uint32_t kStateDecrypted = 1;      // PTM_STATE_FLAG_DECRYPTED
inline constexpr uint32_t kStateEncrypted = 2;      // PTM_STATE_FLAG_ENCRYPTED
inline constexpr uint32_t kConfigFileKey = 1;       // PTM_CONFIG_FLAG_FILE_KEY
inline constexpr uint32_t kConfigMigrationKey = 2;  // PTM_CONFIG_FLAG_MIGRATION_KEY
inline constexpr uint8_t kProcessCurrentLocality = 0xff;

}  // namespace swtpm::wire
