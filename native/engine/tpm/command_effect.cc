#include "engine/tpm/command_effect.h"

namespace swtpm {
namespace {

// A TPM 1.2's command without an authorization; a TPM 2.0's with one.
constexpr uint16_t kTag12Plain = 0x00c1;
constexpr uint16_t kTagSessions = 0x8002;
constexpr uint32_t kPasswordSession = 0x40000009;

// Of a command that comes without a session.
struct Known {
  CommandEffect effect = CommandEffect::kModifies;
  size_t handles = 0;
  bool is_short = true;
};

constexpr Known known_20(uint32_t code) {
  switch (code) {
    case 0x17b:  // GetRandom
    case 0x17a:  // GetCapability
    case 0x17e:  // PCR_Read
    case 0x17d:  // Hash
    case 0x181:  // ReadClock
    case 0x178:  // ECC_Parameters
    case 0x17c:  // GetTestResult
    case 0x18a:  // TestParms
      return {CommandEffect::kReads};
    case 0x169:  // NV_ReadPublic
    case 0x173:  // ReadPublic
      return {CommandEffect::kReads, 1};
    case 0x14e:  // NV_Read
      return {CommandEffect::kReads, 2};
    case 0x143:  // SelfTest
      return {CommandEffect::kReads, 0, false};
    case 0x165:  // FlushContext
      return {CommandEffect::kRepeatable};
    case 0x182:  // PCR_Extend
    case 0x13c:  // PCR_Event
    case 0x13d:  // PCR_Reset
      return {CommandEffect::kRepeatable, 1};
  }
  return {};
}

constexpr Known known_12(uint32_t ordinal) {
  switch (ordinal) {
    case 0x46:  // GetRandom
    case 0x15:  // PcrRead
    case 0x54:  // GetTestResult
    case 0x65:  // GetCapability
    case 0xcf:  // NV_ReadValue
      return {CommandEffect::kReads};
    case 0x50:  // SelfTestFull
    case 0x53:  // ContinueSelfTest
      return {CommandEffect::kReads, 0, false};
    case 0x14:  // Extend
      return {CommandEffect::kRepeatable};
  }
  return {};
}

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

CommandNature nature_of(TpmVersion version, ByteView command) {
  if (command.size() < kTpmHeaderSizeBytes) return {};
  bool tpm2 = version == TpmVersion::k20;
  uint32_t code = message_code(command.data());
  Known known = tpm2 ? known_20(code) : known_12(code);
  if (known.effect == CommandEffect::kModifies) return {};
  bool session = tpm2 ? has_session(command, known.handles) : load_be16(command.data()) != kTag12Plain;
  if (session) return {};
  return {known.effect, known.is_short};
}

}  // namespace swtpm
