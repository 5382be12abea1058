#include "engine/command_effect.h"

#include <algorithm>

namespace swtpm {
namespace {

constexpr uint16_t kTagSessions = 0x8002;
constexpr uint32_t kPasswordSession = 0x40000009;

struct Row {
  uint32_t code;
  size_t handles;
  CommandEffect effect;
};

constexpr Row k20[] = {
    {0x13c, 1, CommandEffect::kRepeatable},  // PCR_Event
    {0x13d, 1, CommandEffect::kRepeatable},  // PCR_Reset
    {0x143, 0, CommandEffect::kReads},       // SelfTest
    {0x14e, 2, CommandEffect::kReads},       // NV_Read
    {0x165, 0, CommandEffect::kRepeatable},  // FlushContext
    {0x169, 1, CommandEffect::kReads},       // NV_ReadPublic
    {0x173, 1, CommandEffect::kReads},       // ReadPublic
    {0x178, 0, CommandEffect::kReads},       // ECC_Parameters
    {0x17a, 0, CommandEffect::kReads},       // GetCapability
    {0x17b, 0, CommandEffect::kReads},       // GetRandom
    {0x17c, 0, CommandEffect::kReads},       // GetTestResult
    {0x17d, 0, CommandEffect::kReads},       // Hash
    {0x17e, 0, CommandEffect::kReads},       // PCR_Read
    {0x181, 0, CommandEffect::kReads},       // ReadClock
    {0x182, 1, CommandEffect::kRepeatable},  // PCR_Extend
    {0x18a, 0, CommandEffect::kReads},       // TestParms
};

// TPM 1.2 without an authorization: what the tag says.
constexpr Row k12[] = {
    {0x14, 0, CommandEffect::kRepeatable},  // Extend
    {0x15, 0, CommandEffect::kReads},       // PcrRead
    {0x46, 0, CommandEffect::kReads},       // GetRandom
    {0x50, 0, CommandEffect::kReads},       // SelfTestFull
    {0x53, 0, CommandEffect::kReads},       // ContinueSelfTest
    {0x54, 0, CommandEffect::kReads},       // GetTestResult
    {0x65, 0, CommandEffect::kReads},       // GetCapability
    {0xcf, 0, CommandEffect::kReads},       // NV_ReadValue
};
constexpr uint16_t kTag12Plain = 0x00c1;

constexpr uint32_t kTpm2CcSelfTest = 0x143;
constexpr uint32_t kTpm12OrdSelfTestFull = 0x50;
constexpr uint32_t kTpm12OrdContinueSelfTest = 0x53;

// A session has nonces that change with each use; a password has nothing.
bool has_session(ByteView command, size_t handles) {
  ByteReader reader(command);
  if (reader.u16() != kTagSessions) return false;
  reader.skip(8 + handles * 4);
  uint32_t area_bytes = reader.u32();
  bool password = reader.u32() == kPasswordSession;
  reader.skip(reader.u16());  // nonce
  reader.skip(1);             // attributes
  size_t password_bytes = reader.u16();
  constexpr size_t kFixedBytes = 4 + 2 + 1 + 2;
  return reader.failed() || !password || area_bytes != kFixedBytes + password_bytes;
}

}  // namespace

CommandEffect effect_of(TpmVersion version, ByteView command) {
  bool tpm2 = version == TpmVersion::k20;
  std::span<const Row> rows = k12;
  if (tpm2) rows = k20;
  auto row = std::find_if(rows.begin(), rows.end(),
                          [code = message_code(command.data())](const Row& r) { return r.code == code; });
  if (row == rows.end()) return CommandEffect::kModifies;
  bool session = tpm2 ? has_session(command, row->handles) : load_be16(command.data()) != kTag12Plain;
  return session ? CommandEffect::kModifies : row->effect;
}

bool is_short(TpmVersion version, ByteView command) {
  if (command.size() < kTpmHeaderSizeBytes) return false;
  uint32_t code = message_code(command.data());
  bool tests = version == TpmVersion::k20
                   ? code == kTpm2CcSelfTest
                   : code == kTpm12OrdSelfTestFull || code == kTpm12OrdContinueSelfTest;
  return !tests && effect_of(version, command) != CommandEffect::kModifies;
}

}  // namespace swtpm
