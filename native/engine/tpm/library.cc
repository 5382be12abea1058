#include "engine/tpm/library.h"

#include <libtpms/tpm_error.h>

#include "engine/tpm/insecure_seed.h"

namespace swtpm::library {
namespace {

constexpr uint64_t kInfoAvailableProfiles = 64;

}  // namespace

TPMLIB_TPMVersion choice(TpmVersion version) {
  return version == TpmVersion::k20 ? TPMLIB_TPM_VERSION_2 : TPMLIB_TPM_VERSION_1_2;
}

TpmResult main_init() {
  insecure_seed::Scope scope;
  return TPMLIB_MainInit();
}

bool process(std::span<uint8_t> command, ResponseBuffer& buffer) {
  insecure_seed::Scope scope;
  TPM_RESULT result = buffer.fill([&](uint8_t** data, uint32_t* size, uint32_t* capacity) {
    return TPMLIB_Process(data, size, capacity, command.data(), static_cast<uint32_t>(command.size()));
  });
  return result == TPM_SUCCESS && buffer.view().size() >= kTpmHeaderSizeBytes;
}

VolatileState::VolatileState() {
  insecure_seed::Scope scope;
  unsigned char* raw = nullptr;
  result_ = TPMLIB_VolatileAll_Store(&raw, &size_);
  bytes_.reset(raw);
}

std::string info(uint64_t flags) {
  char* text = TPMLIB_GetInfo(static_cast<TPMLIB_InfoFlags>(flags));
  std::unique_ptr<char, decltype(&free)> owner(text, free);
  return text ? text : "";
}

uint32_t version() {
  return TPMLIB_GetVersion();
}

std::string release() {
  uint32_t v = version();
  return std::to_string(v >> 16) + "." + std::to_string(v >> 8 & 0xff) + "." + std::to_string(v & 0xff);
}

std::string describe(uint64_t flags, TpmVersion chosen) {
  auto supports = [](TPMLIB_TPMVersion v) { return TPMLIB_ChooseTPMVersion(v) == TPM_SUCCESS; };
  bool tpm12 = supports(TPMLIB_TPM_VERSION_1_2);
  bool tpm2 = supports(TPMLIB_TPM_VERSION_2);
  // TPM 2.0 is the choice now, and only it has profiles.
  std::string profiles = TPMLIB_SetProfile && tpm2 ? info(kInfoAvailableProfiles) : "";
  TPMLIB_ChooseTPMVersion(choice(chosen));
  std::string text = info(flags);
  return "{\"libtpms\":\"" + release() + "\",\"tpm12\":" + (tpm12 ? "true" : "false") +
         ",\"tpm2\":" + (tpm2 ? "true" : "false") + ",\"info\":" + (text.empty() ? "null" : text) +
         ",\"profiles\":" + (profiles.empty() ? "null" : profiles) + "}";
}

}  // namespace swtpm::library
