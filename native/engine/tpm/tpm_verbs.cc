// The verbs besides power and succession: the established bit, hashes, state blobs, keys and sizes.
#include <libtpms/tpm_error.h>
#include <libtpms/tpm_tis.h>

#include "engine/tpm/insecure_seed.h"
#include "engine/tpm/library.h"
#include "engine/tpm/tpm.h"

namespace swtpm {
namespace {

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
  if (!usable()) return kTpmBadOrdinal;
  TPM_BOOL established = 0;
  TpmResult result = TPM_IO_TpmEstablished_Get(&established);
  bit = established;
  return result;
}

template <typename Verb>
TpmResult Tpm::change(Verb verb) {
  Lock lock(mutex_);
  if (!usable()) return kTpmBadOrdinal;
  insecure_seed::Scope scope;
  TpmResult result = verb();
  save_checkpoint();
  return result;
}

TpmResult Tpm::reset_established(uint8_t locality) {
  return change([&]() -> TpmResult {
    if (locality > wire::kHighestLocality) return kTpmBadLocality;
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
  if (!usable()) return kTpmBadOrdinal;
  clear_out_guests();
  library::VolatileState state;
  if (state.result()) return state.result();
  // Neither is of use without the other.
  state_.secure_permanent();
  return state_.store(BlobType::kVolatile, state.view());
}

TpmResult Tpm::get_state_blob(uint32_t number, bool decrypted, Bytes& out, bool& is_encrypted) {
  Lock lock(mutex_);
  if (!usable()) return kTpmBadOrdinal;
  auto type = blob_type(number);
  if (!type) return kTpmRetry;  // as for a blob that does not exist; QEMU takes it for "nothing to transfer"
  Bytes plain;
  if (*type == BlobType::kVolatile) {
    // Straight from the TPM, without a file. An older file would be outdated, so it is removed.
    clear_out_guests();
    library::VolatileState state;
    if (state.result()) return state.result();
    plain.assign(state.view().begin(), state.view().end());
    state_.erase(BlobType::kVolatile, false);
  } else if (TpmResult result = state_.state_of_running(*type, plain)) {
    return result;
  }
  return state_.wrap_state_blob(plain, decrypted, out, is_encrypted);
}

TpmResult Tpm::set_state_blob(uint32_t number, bool marked_encrypted, ByteView blob) {
  Lock lock(mutex_);
  if (running() || !succession_.owns_tpm()) return kTpmBadOrdinal;
  auto type = blob_type(number);
  if (!type) return kTpmBadParameter;
  Bytes plain;
  if (TpmResult result = state_.unwrap_state_blob(blob, blob_name(*type), marked_encrypted, plain))
    return result;
  // Until the next INIT only libtpms has it: another engine could not continue. Null clears it.
  checkpoint_.set_incomplete();
  TpmResult result = TPMLIB_SetState(state_type(*type), plain.empty() ? nullptr : plain.data(),
                                     static_cast<uint32_t>(plain.size()));
  if (result) {
    log(LogLevel::kError,
        "Cannot use state \"%s\": libtpms %s refuses it; it is damaged, or needs the newer libtpms that "
        "stored it",
        blob_name(*type), library::release().c_str());
    // libtpms has forgotten all that were set.
    permanent_given_ = false;
    savestate_given_.reset();
  } else if (*type == BlobType::kPermanent) {
    permanent_given_ = true;
  } else if (*type == BlobType::kSavestate && options_.version == TpmVersion::k12) {
    savestate_given_ = std::move(plain);
  }
  return result;
}

TpmResult Tpm::peek_state(uint32_t number, uint32_t& size_bytes) {
  auto type = blob_type(number);
  return type ? state_.peek(*type, size_bytes) : kTpmBadParameter;
}

TpmResult Tpm::set_key(KeySlot slot, ByteView key) {
  Lock lock(mutex_);
  if (!succession_.owns_tpm()) return kTpmBadOrdinal;
  if (TpmResult error = state_.set_key(slot, key)) return error;
  checkpoint_.set_key(slot, key);
  return kTpmSuccess;
}

TpmResult Tpm::set_buffer_size(uint32_t wanted, BufferSizes& sizes) {
  // Asking is answered without waiting for a running command: the sizes only change while none runs.
  Lock lock(mutex_, std::defer_lock);
  if (wanted > 0) {
    lock.lock();
    if (running() || !succession_.owns_tpm()) return kTpmBadOrdinal;
  }
  sizes.current = TPMLIB_SetBufferSize(wanted, &sizes.min, &sizes.max);
  if (wanted > 0) checkpoint_.set_buffer_size(sizes.current);
  return kTpmSuccess;
}

std::string Tpm::info(uint64_t flags) {
  Lock lock(mutex_);
  return library::info(flags);
}

}  // namespace swtpm
