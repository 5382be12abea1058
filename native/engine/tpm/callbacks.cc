#include "engine/tpm/callbacks.h"

#include <libtpms/tpm_error.h>
#include <libtpms/tpm_library.h>
#include <libtpms/tpm_nvfilename.h>
#include <stdlib.h>

#include <cstring>

#include "engine/tpm/insecure_seed.h"

namespace swtpm::callbacks {
namespace {

NvState* g_state = nullptr;
std::function<uint8_t()> g_locality;

TPM_RESULT nvram_init() {
  return TPM_SUCCESS;
}

TPM_RESULT load(unsigned char** data, uint32_t* length, uint32_t, const char* name) {
  insecure_seed::CallbackScope scope;
  *data = nullptr;
  *length = 0;
  auto type = blob_type(std::string_view(name));
  Bytes plain;
  if (!type) return TPM_FAIL;
  if (TpmResult result = g_state->load(*type, plain)) return result;
  // libtpms frees it; malloc(0) may be null, which libtpms would take for "no state".
  *data = static_cast<unsigned char*>(malloc(plain.size() + 1));
  if (!*data) return TPM_FAIL;
  memcpy(*data, plain.data(), plain.size());
  *length = static_cast<uint32_t>(plain.size());
  return TPM_SUCCESS;
}

TPM_RESULT store(const unsigned char* data, uint32_t length, uint32_t, const char* name) {
  insecure_seed::CallbackScope scope;
  auto type = blob_type(std::string_view(name));
  return type ? g_state->store(*type, {data, length}) : TPM_FAIL;
}

TPM_RESULT erase(uint32_t, const char* name, TPM_BOOL must_exist) {
  insecure_seed::CallbackScope scope;
  auto type = blob_type(std::string_view(name));
  return type ? g_state->erase(*type, must_exist) : TPM_FAIL;
}

TPM_RESULT get_locality(TPM_MODIFIER_INDICATOR* locality, uint32_t) {
  *locality = g_locality();
  return TPM_SUCCESS;
}

}  // namespace

void install(NvState& state, std::function<uint8_t()> locality) {
  g_state = &state;
  g_locality = std::move(locality);
  libtpms_callbacks callbacks{};
  callbacks.sizeOfStruct = sizeof(callbacks);
  callbacks.tpm_nvram_init = nvram_init;
  callbacks.tpm_nvram_loaddata = load;
  callbacks.tpm_nvram_storedata = store;
  callbacks.tpm_nvram_deletename = erase;
  callbacks.tpm_io_getlocality = get_locality;
  TPMLIB_RegisterCallbacks(&callbacks);
}

}  // namespace swtpm::callbacks
