// A data command's way from any front end to the TPM: past the storage gate, then through Tpm::process.
#pragma once

#include "engine/storage_gate.h"
#include "engine/tpm.h"

namespace swtpm {

class DataPath {
 public:
  DataPath(Tpm& tpm, StorageGate& gate) : tpm_(tpm), gate_(gate) {}

  TpmVersion version() const { return tpm_.version(); }

  // Always yields a well-formed response; it lies in `buffer`. short_code: see Tpm::process.
  ByteView run(std::span<uint8_t> command, ResponseBuffer& buffer, TpmResult short_code) {
    // A TPM that is off answers so at once, storage or not.
    if (tpm_.running() && !gate_.wait()) return buffer.set(version(), failure_code(version()));
    return tpm_.process(command, buffer, short_code);
  }

  TpmResult set_locality(uint8_t locality) { return tpm_.set_locality(locality); }

 private:
  Tpm& tpm_;
  StorageGate& gate_;
};

}  // namespace swtpm
