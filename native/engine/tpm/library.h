// libtpms itself, of whichever version: what it can do, and the calls whose memory has to be managed.
#pragma once

#include <libtpms/tpm_library.h>
#include <stdlib.h>

#include <memory>
#include <string>

#include "common/bytes.h"
#include "common/tpm_result.h"
#include "engine/tpm/message.h"

// Entry points of newer versions of libtpms; null with older ones.
extern "C" {
[[gnu::weak]] TPM_RESULT TPMLIB_SetProfile(const char* profile);
[[gnu::weak]] TPM_BOOL TPMLIB_WasManufactured(void);
}

namespace swtpm::library {

TPMLIB_TPMVersion choice(TpmVersion version);

// Powers the TPM on.
TpmResult main_init();

// Has the TPM that runs execute one command. False: there is no well-formed response.
bool process(std::span<uint8_t> command, ResponseBuffer& buffer);

// The volatile state of the TPM that runs, as of the time when this object is made.
class VolatileState {
 public:
  VolatileState();
  TpmResult result() const { return result_; }
  ByteView view() const { return {bytes_.get(), size_}; }

 private:
  struct Free {
    void operator()(void* p) const { free(p); }
  };
  std::unique_ptr<unsigned char, Free> bytes_;
  uint32_t size_ = 0;
  TpmResult result_;
};

// TPMLIB_GetInfo, a JSON text.
std::string info(uint64_t flags);

uint32_t version();
// "0.9.2".
std::string release();

// What --print-info prints; needs no TPM, and leaves the choice of `version`.
std::string describe(uint64_t flags, TpmVersion version);

}  // namespace swtpm::library
