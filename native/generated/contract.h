// Made from contract/*.ts by `npm run contract`; do not edit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace swtpm {

// TPM 1.2 Part 2, 16, also the results of all PTM verbs; TPM 2.0 Part 2, 6.6.
using TpmResult = uint32_t;
inline constexpr TpmResult kTpmBadDatasize = 0x2b;
inline constexpr TpmResult kTpmBadKeyProperty = 0x28;
inline constexpr TpmResult kTpmBadLocality = 0x3d;
inline constexpr TpmResult kTpmBadOrdinal = 0xa;
inline constexpr TpmResult kTpmBadParameter = 0x3;
inline constexpr TpmResult kTpmBadParamSize = 0x19;
inline constexpr TpmResult kTpmBadVersion = 0x2e;
inline constexpr TpmResult kTpmDecryptError = 0x21;
inline constexpr TpmResult kTpmEncryptError = 0x20;
inline constexpr TpmResult kTpmFail = 0x9;
inline constexpr TpmResult kTpmFailedSelfTest = 0x1c;
inline constexpr TpmResult kTpmInvalidPostinit = 0x26;
inline constexpr TpmResult kTpmIoerror = 0x1f;
inline constexpr TpmResult kTpmKeyNotFound = 0xd;
inline constexpr TpmResult kTpmRcCanceled = 0x909;
inline constexpr TpmResult kTpmRcCommandSize = 0x142;
inline constexpr TpmResult kTpmRcFailure = 0x101;
inline constexpr TpmResult kTpmRcInitialize = 0x100;
inline constexpr TpmResult kTpmRcInsufficient = 0x9a;
inline constexpr TpmResult kTpmRcLocality = 0x107;
inline constexpr TpmResult kTpmRcNvUnavailable = 0x923;
inline constexpr TpmResult kTpmRetry = 0x800;
inline constexpr TpmResult kTpmSize = 0x17;
inline constexpr TpmResult kTpmSuccess = 0x0;

// One of the values that an option or a verb takes.
template <typename T>
struct Choice {
  std::string_view name;
  T value;
};

enum class TpmVersion { k12, k20 };
inline constexpr Choice<TpmVersion> kTpmVersionChoices[] = {
    {"1.2", TpmVersion::k12},
    {"2", TpmVersion::k20},
};

enum class Backend { kDir, kLinear };
inline constexpr Choice<Backend> kBackendChoices[] = {
    {"dir", Backend::kDir},
    {"linear", Backend::kLinear},
};

enum class SeccompAction { kNone, kLog, kKill };
inline constexpr Choice<SeccompAction> kSeccompActionChoices[] = {
    {"none", SeccompAction::kNone},
    {"log", SeccompAction::kLog},
    {"kill", SeccompAction::kKill},
};

// The parts of a TPM's state, by their numbers in the PTM verbs and by libtpms's names.
enum class BlobType : uint32_t {
  kPermanent = 0x1,
  kVolatile = 0x2,
  kSavestate = 0x3,
};

inline constexpr Choice<BlobType> kBlobTypes[] = {
    {"permall", BlobType::kPermanent},
    {"volatilestate", BlobType::kVolatile},
    {"savestate", BlobType::kSavestate},
};

// A key is for the state files or for migration.
enum class KeySlot : uint32_t {
  kFile = 0x0,
  kMigration = 0x1,
};

// The command line of tpm-engine.
struct EngineOptions {
  TpmVersion tpm_version{};
  Backend backend{};
  unsigned mode = 0640;
  bool mode_given = false;
  bool sync = true;
  bool backup = false;
  bool journal = false;
  bool allow_set_locality = false;
  bool reject_locality_4 = false;
  bool auto_shutdown = true;
  bool trace = false;
  unsigned log_level = 0;
  SeccompAction seccomp{};
  std::string seed_insecure;
  bool resource_manager = false;
  std::string log_prefix;
};

struct NumberRule {
  int base;
  uint64_t max;
};

// Calls visit(name, member, rule) for each option. The rule is a list of choices, a NumberRule, the value that a
// switch sets, or nothing for text.
template <typename Visit>
void visit_engine_options(Visit visit) {
  visit("tpm", &EngineOptions::tpm_version, kTpmVersionChoices);
  visit("backend", &EngineOptions::backend, kBackendChoices);
  visit("mode", &EngineOptions::mode, NumberRule{8, 0777});
  visit("mode-given", &EngineOptions::mode_given, true);
  visit("no-sync", &EngineOptions::sync, false);
  visit("backup", &EngineOptions::backup, true);
  visit("journal", &EngineOptions::journal, true);
  visit("allow-set-locality", &EngineOptions::allow_set_locality, true);
  visit("reject-locality-4", &EngineOptions::reject_locality_4, true);
  visit("no-auto-shutdown", &EngineOptions::auto_shutdown, false);
  visit("trace", &EngineOptions::trace, true);
  visit("log-level", &EngineOptions::log_level, NumberRule{10, 1000});
  visit("seccomp", &EngineOptions::seccomp, kSeccompActionChoices);
  visit("seed-insecure", &EngineOptions::seed_insecure);
  visit("resource-manager", &EngineOptions::resource_manager, true);
  visit("log-prefix", &EngineOptions::log_prefix);
}

namespace wire {

// Bounds and sizes.
inline constexpr uint32_t kHighestLocality = 4;
inline constexpr uint32_t kMaxCheckpointPermanentBytes = 524288;
inline constexpr uint32_t kMaxCheckpointVolatileBytes = 262144;
inline constexpr uint32_t kMaxFrameFds = 3;
inline constexpr uint32_t kMaxKeyBytes = 32;
inline constexpr uint32_t kMaxProfileBytes = 65536;
inline constexpr uint32_t kMaxReplyBodyBytes = 4194304;
inline constexpr uint32_t kMaxRequestBodyBytes = 1048576;
inline constexpr uint32_t kMaxStateBlobBytes = 524288;
inline constexpr uint32_t kMaxStateFileBytes = 2097152;
inline constexpr uint32_t kSharedStateLastUniqueOffset = 16;
inline constexpr uint32_t kSharedStateSizeBytes = 2097152;
inline constexpr uint32_t kTpmBufferSizeBytes = 4096;
inline constexpr uint32_t kTpmPrefixSizeBytes = 9;

// How a state is kept.
inline constexpr uint32_t kBlobHeaderBytes = 10;
inline constexpr uint32_t kBlobMinVersion = 1;
inline constexpr uint32_t kBlobVersion = 2;
inline constexpr uint32_t kJournalCheckedFrom = 40;
inline constexpr uint32_t kJournalChecksumAt = 8;
inline constexpr uint32_t kJournalHeaderBytes = 88;
inline constexpr uint32_t kJournalSmallestSlotBytes = 16384;
inline constexpr uint32_t kMaxJournalBytes = 16777216;
inline constexpr uint32_t kBlobEncrypted = 1;
inline constexpr uint32_t kBlobMigrationEncrypted = 2;
inline constexpr uint32_t kBlobMigrationData = 4;
inline constexpr uint32_t kBlobFileKey256 = 8;
inline constexpr uint32_t kBlobMigrationKey256 = 16;
enum class BlobTag : uint16_t {
  kData = 0x1,
  kEncryptedData = 0x2,
  kHmac = 0x3,
  kMigrationData = 0x4,
  kEncryptedMigrationData = 0x5,
  kIvEncryptedData = 0x6,
  kIvEncryptedMigrationData = 0x7,
};

// Inherited descriptors.
inline constexpr int kChannelFd = 3;
inline constexpr int kStateFd = 4;
inline constexpr int kSharedStateFd = 5;
inline constexpr unsigned kFirstStrayFd = 6;

// u32 length of the body, u32 kind, u32 id.
inline constexpr size_t kFrameHeaderSizeBytes = 12;
enum class FrameKind : uint32_t {
  kRequest = 0x1,
  kReply = 0x2,
  kEvent = 0x3,
};

// What a request asks for. Verbs: swtpm_ioctls(3), ioctl number + 1.
enum class Code : uint32_t {
  kInit = 0x2,
  kShutdown = 0x3,
  kGetTpmestablished = 0x4,
  kSetLocality = 0x5,
  kHashStart = 0x6,
  kHashData = 0x7,
  kHashEnd = 0x8,
  kCancelTpmCmd = 0x9,
  kStoreVolatile = 0xa,
  kResetTpmestablished = 0xb,
  kGetStateblob = 0xc,
  kSetStateblob = 0xd,
  kStop = 0xe,
  kGetConfig = 0xf,
  kSetBuffersize = 0x11,
  kGetInfo = 0x12,
  kAttach = 0x1001,
  kProcess = 0x1003,
  kSetRoute = 0x1004,
  kSetKey = 0x1005,
  kSetStorage = 0x1006,
  kPeekState = 0x1007,
  kSetProfile = 0x1008,
  kResume = 0x1009,
  kHandOver = 0x100a,
  kCheckCrypto = 0x100b,
  kIntercept = 0x100c,
  kRespond = 0x100d,
  kCutPower = 0x100f,
  kDetach = 0x100e,
  kSpawn = 0x2001,
  kKill = 0x2002,
};

enum class Event : uint32_t {
  kReady = 0x1,
  kLog = 0x2,
  kClientOpened = 0x3,
  kClientClosed = 0x4,
  kFuseRequest = 0x5,
  kStorageNeeded = 0x6,
  kTrace = 0x7,
  kCommand = 0x8,
  kResponse = 0x9,
  kManagedClosed = 0xb,
  kCommandGone = 0xa,
  kEngineEnded = 0x2001,
};

// The run state that a request needs.
enum class When { kAnyTime, kRunning, kStopped };

struct Request {
  Code code;
  When when;
  bool urgent;      // executed by the thread that reads the channel
  size_t min_body;  // bytes after the code
  size_t max_body;
};

// What an engine executes.
inline constexpr Request kRequests[] = {
    {Code::kInit, When::kAnyTime, false, 4, 4},
    {Code::kShutdown, When::kAnyTime, false, 0, 0},
    {Code::kGetTpmestablished, When::kRunning, false, 0, 0},
    {Code::kSetLocality, When::kAnyTime, true, 1, 1},
    {Code::kHashStart, When::kRunning, false, 0, 0},
    {Code::kHashData, When::kRunning, false, 4, kMaxRequestBodyBytes},
    {Code::kHashEnd, When::kRunning, false, 0, 0},
    {Code::kCancelTpmCmd, When::kRunning, true, 0, 0},
    {Code::kStoreVolatile, When::kRunning, false, 0, 0},
    {Code::kResetTpmestablished, When::kRunning, false, 1, 1},
    {Code::kGetStateblob, When::kRunning, false, 12, 12},
    {Code::kSetStateblob, When::kStopped, false, 12, kMaxRequestBodyBytes},
    {Code::kStop, When::kAnyTime, false, 0, 0},
    {Code::kGetConfig, When::kAnyTime, true, 0, 0},
    {Code::kSetBuffersize, When::kAnyTime, false, 4, 4},
    {Code::kGetInfo, When::kAnyTime, false, 16, 16},
    {Code::kAttach, When::kAnyTime, false, 8, 8},
    {Code::kProcess, When::kAnyTime, false, 8, 1048572},
    {Code::kSetRoute, When::kAnyTime, true, 4, 4},
    {Code::kSetKey, When::kStopped, false, 8, 40},
    {Code::kSetStorage, When::kAnyTime, false, 4, 4},
    {Code::kPeekState, When::kAnyTime, false, 4, 4},
    {Code::kSetProfile, When::kStopped, false, 4, 65540},
    {Code::kResume, When::kAnyTime, false, 0, 0},
    {Code::kHandOver, When::kAnyTime, false, 0, 0},
    {Code::kCheckCrypto, When::kStopped, false, 0, 0},
    {Code::kIntercept, When::kAnyTime, true, 4, 4},
    {Code::kRespond, When::kAnyTime, true, 16, 1048576},
    {Code::kCutPower, When::kAnyTime, false, 0, 0},
    {Code::kDetach, When::kAnyTime, false, 0, 0},
};

enum class AttachKind : uint32_t {
  kStream = 0x1,
  kListener = 0x2,
  kChardev = 0x3,
  kCuse = 0x4,
  kManagedListener = 0x5,
  kManagedCuse = 0x6,
};

inline constexpr uint32_t kAttachDisconnect = 1;
inline constexpr uint32_t kAttachContinue = 2;
inline constexpr uint32_t kAttachReportClients = 4;
inline constexpr uint32_t kSpawnFresh = 1;
inline constexpr uint32_t kRefusedCamellia = 1;
inline constexpr uint32_t kRefusedTdes = 2;
inline constexpr uint32_t kRefusedRsaes = 4;
inline constexpr uint32_t kRefusedSmallKeys = 8;
inline constexpr uint32_t kRefusedSha1Signing = 16;
inline constexpr uint32_t kRefusedSha1Verification = 32;
inline constexpr uint32_t kRefusedUnpaddedEncryption = 64;
inline constexpr uint32_t kRefusedSha1Hmac = 128;

enum class Route : uint32_t {
  kNative = 0x0,
  kSupervisor = 0x1,
};

enum class Verdict : uint32_t {
  kPass = 0x0,
  kRun = 0x1,
  kAnswer = 0x2,
  kPart = 0x3,
  kSilence = 0x4,
  kHangUp = 0x5,
  kErrno = 0x6,
};

enum class CommandGone : uint32_t {
  kClient = 0x0,
  kTpm = 0x1,
};

inline constexpr uint8_t kLocalityCurrent = 0xff;

// Flags of PTM verbs.
inline constexpr uint32_t kPtmConfigFlagFileKey = 1;
inline constexpr uint32_t kPtmConfigFlagMigrationKey = 2;
inline constexpr uint32_t kPtmInitFlagDeleteVolatile = 1;
inline constexpr uint32_t kPtmStateFlagDecrypted = 1;
inline constexpr uint32_t kPtmStateFlagEncrypted = 2;

}  // namespace wire
}  // namespace swtpm
