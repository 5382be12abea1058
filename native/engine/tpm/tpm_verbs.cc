// What the control channel asks of a TPM besides power and commands: locality's bit, hashes, state blobs.
#include <libtpms/tpm_error.h>
#include <libtpms/tpm_tis.h>

#include "engine/tpm/library.h"
#include "engine/tpm/tpm.h"

namespace swtpm {
namespace {

using Lock = std::unique_lock<std::mutex>;

TPMLIB_StateType state_type(BlobType type) {
  switch (type) {
    case BlobType::kPermanent:
      return TPMLIB_STATE_PERMANENT;
    case BlobType::kVolatile:
      return TPMLIB_STATE_VOLATILE;
    case BlobType::kSavestate:
      break;
  }
  return TPMLIB_STATE_SAVE_STATE;
}

}  // namespace

TpmResult Tpm::get_established(uint8_t& bit) {
  Lock lock(mutex_);
  if (!running()) return kTpmBadOrdinal;
  TPM_BOOL established = 0;
  TpmResult result = TPM_IO_TpmEstablished_Get(&established);
  bit = established;
  return result;
}

// A verb that changes the TPM.
template <typename Verb>
TpmResult Tpm::change(Verb verb) {
  Lock lock(mutex_);
  if (!running()) return kTpmBadOrdinal;
  TpmResult result = verb();
  take_down();
  return result;
}

TpmResult Tpm::reset_established(uint8_t locality) {
  return change([&]() -> TpmResult {
    if (locality > 4) return kTpmBadLocality;
    locality_override_ = locality;
    TpmResult result = TPM_IO_TpmEstablished_Reset();
    locality_override_.reset();
    return result;
  });
}

TpmResult Tpm::hash_start() {
  return change(TPM_IO_Hash_Start);
}

TpmResult Tpm::hash_data(ByteView data) {
  return change([&] { return TPM_IO_Hash_Data(data.data(), static_cast<uint32_t>(data.size())); });
}

TpmResult Tpm::hash_end() {
  return change(TPM_IO_Hash_End);
}

TpmResult Tpm::store_volatile() {
  Lock lock(mutex_);
  if (!running()) return kTpmBadOrdinal;
  library::VolatileState state;
  return state.result() ? state.result() : state_.store(BlobType::kVolatile, state.view());
}

TpmResult Tpm::get_state_blob(uint32_t number, bool decrypted, Bytes& out, bool& is_encrypted) {
  Lock lock(mutex_);
  if (!running()) return kTpmBadOrdinal;
  auto type = blob_type(number);
  if (!type) return kTpmRetry;  // as for a blob that does not exist; QEMU takes it for "nothing to transfer"
  Bytes plain;
  if (*type == BlobType::kVolatile) {
    // Straight from the TPM: it need not pass through a file. A file from before would be outdated, so it
    // goes.
    library::VolatileState state;
    if (state.result()) return state.result();
    plain.assign(state.view().begin(), state.view().end());
    state_.erase(BlobType::kVolatile, false);
  } else if (TpmResult result = state_.load(*type, plain)) {
    return result;
  }
  return state_.wrap_state_blob(plain, decrypted, out, is_encrypted);
}

TpmResult Tpm::set_state_blob(uint32_t number, bool marked_encrypted, ByteView blob) {
  Lock lock(mutex_);
  if (running()) return kTpmBadOrdinal;
  auto type = blob_type(number);
  if (!type) return kTpmBadParameter;
  Bytes plain;
  if (TpmResult result = state_.unwrap_state_blob(blob, blob_name(*type), marked_encrypted, plain))
    return result;
  // Kept by libtpms until the next INIT, and by nobody else. Null clears it.
  heritage_.set_lost();
  return TPMLIB_SetState(state_type(*type), plain.empty() ? nullptr : plain.data(),
                         static_cast<uint32_t>(plain.size()));
}

TpmResult Tpm::set_buffer_size(uint32_t wanted, BufferSizes& sizes) {
  // Asking is answered without waiting for a running command: the sizes only change while none runs.
  Lock lock(mutex_, std::defer_lock);
  if (wanted > 0) {
    lock.lock();
    if (running()) return kTpmBadOrdinal;
  }
  sizes.current = TPMLIB_SetBufferSize(wanted, &sizes.min, &sizes.max);
  if (wanted > 0) heritage_.set_buffer_size(sizes.current);
  return kTpmSuccess;
}

std::string Tpm::info(uint64_t flags) {
  Lock lock(mutex_);
  return library::info(flags);
}

}  // namespace swtpm
