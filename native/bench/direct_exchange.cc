// libtpms called in a loop: what no TPM around it can be faster than.
#include <libtpms/tpm_error.h>
#include <libtpms/tpm_library.h>
#include <libtpms/tpm_memory.h>
#include <libtpms/tpm_nvfilename.h>

#include <cerrno>
#include <fstream>
#include <iterator>

#include "bench/exchange.h"

namespace swtpm::bench {
namespace {

constexpr uint8_t kStartup2[] = {0x80, 0x01, 0, 0, 0, 0x0c, 0, 0, 0x01, 0x44, 0, 0};
constexpr uint8_t kStartup12[] = {0x00, 0xc1, 0, 0, 0, 0x0c, 0, 0, 0, 0x99, 0, 1};

// In front of the state in its file: the header of 10 bytes, and tag and length of the one field, 6 bytes.
constexpr size_t kBlobHeadSizeBytes = 16;

Bytes read_state(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  Bytes bytes((std::istreambuf_iterator<char>(file)), {});
  if (bytes.size() <= kBlobHeadSizeBytes) fail("No TPM state in %s", path.c_str());
  bytes.erase(bytes.begin(), bytes.begin() + kBlobHeadSizeBytes);
  return bytes;
}

// State that is handed to us is taken and forgotten: storing it is not libtpms's work.
libtpms_callbacks callbacks() {
  libtpms_callbacks table{};
  table.sizeOfStruct = sizeof(table);
  table.tpm_nvram_init = [] { return TPM_RESULT{TPM_SUCCESS}; };
  table.tpm_nvram_loaddata = [](unsigned char**, uint32_t*, uint32_t, const char*) {
    return TPM_RESULT{TPM_RETRY};
  };
  table.tpm_nvram_storedata = [](const unsigned char*, uint32_t, uint32_t, const char*) {
    return TPM_RESULT{TPM_SUCCESS};
  };
  table.tpm_nvram_deletename = [](uint32_t, const char*, TPM_BOOL) { return TPM_RESULT{TPM_SUCCESS}; };
  table.tpm_io_init = [] { return TPM_RESULT{TPM_SUCCESS}; };
  table.tpm_io_getlocality = [](TPM_MODIFIER_INDICATOR* locality, uint32_t) {
    *locality = 0;
    return TPM_RESULT{TPM_SUCCESS};
  };
  table.tpm_io_getphysicalpresence = [](TPM_BOOL* present, uint32_t) {
    *present = 0;
    return TPM_RESULT{TPM_SUCCESS};
  };
  return table;
}

class DirectExchange : public Exchange {
 public:
  DirectExchange(bool tpm2, const std::string& state_path) {
    errno = 0;
    libtpms_callbacks table = callbacks();
    if (TPMLIB_RegisterCallbacks(&table) != TPM_SUCCESS ||
        TPMLIB_ChooseTPMVersion(tpm2 ? TPMLIB_TPM_VERSION_2 : TPMLIB_TPM_VERSION_1_2) != TPM_SUCCESS ||
        !set_state(state_path) || TPMLIB_MainInit() != TPM_SUCCESS)
      fail("Cannot start libtpms");
    send(tpm2 ? ByteView(kStartup2) : ByteView(kStartup12));
  }
  ~DirectExchange() override {
    TPMLIB_Terminate();
    TPM_Free(response_);
  }

  void send(ByteView command) override {
    if (TPMLIB_Process(&response_, &size_, &room_, const_cast<uint8_t*>(command.data()),
                       static_cast<uint32_t>(command.size())) != TPM_SUCCESS)
      fail("libtpms did not process a command");
  }
  ByteView receive() override { return {response_, size_}; }

 private:
  static bool set_state(const std::string& path) {
    if (path.empty()) return true;
    Bytes state = read_state(path);
    return TPMLIB_SetState(TPMLIB_STATE_PERMANENT, state.data(), static_cast<uint32_t>(state.size())) ==
           TPM_SUCCESS;
  }

  uint8_t* response_ = nullptr;
  uint32_t size_ = 0;
  uint32_t room_ = 0;
};

}  // namespace

std::unique_ptr<Exchange> direct_exchange(bool tpm2, const std::string& state_path) {
  return std::make_unique<DirectExchange>(tpm2, state_path);
}

}  // namespace swtpm::bench
