#include "state/state_loss.h"

#include "common/log.h"

namespace swtpm {
namespace {

// libtpms ends a volatile state with a SHA-1 digest. It starts without what is shorter, and does not say so.
constexpr size_t kMinVolatileBytes = 20;

}  // namespace

void StateLoss::begin_power_on(bool state_given) {
  state_given_ = state_given;
  found_volatile_ = FoundVolatile::kNotAsked;
}

TpmResult StateLoss::judge_volatile(TpmResult loaded, ByteView plain) {
  TpmResult result = loaded;
  if (result == kTpmSuccess && plain.size() < kMinVolatileBytes) {
    log(LogLevel::kError, "Cannot use state \"%s\": its %zu bytes are too few",
        store_.describe(BlobType::kVolatile).c_str(), plain.size());
    result = kTpmFail;
  }
  found_volatile_ = result == kTpmSuccess ? FoundVolatile::kLoaded
                    : result == kTpmRetry ? FoundVolatile::kNone
                                          : FoundVolatile::kUnusable;
  return result;
}

std::string StateLoss::volatile_advice() const {
  return "; mend it, or " + store_.how_to_discard_volatile() + " to start the TPM as after a reset";
}

void StateLoss::report_refused_volatile() const {
  LogAdvice advice(volatile_advice());
  log(LogLevel::kError, "Cannot use state \"%s\": libtpms refuses it",
      store_.describe(BlobType::kVolatile).c_str());
}

void StateLoss::report_refused_permanent(const std::string& release) const {
  log(LogLevel::kError,
      "Cannot use state \"%s\": libtpms %s refuses it; it is damaged, or needs the newer libtpms that stored "
      "it",
      store_.describe(BlobType::kPermanent).c_str(), release.c_str());
}

bool StateLoss::permanent_is_lost() const {
  if (state_given_) return false;
  std::string missing = store_.describe(BlobType::kPermanent);
  if (has_run_) {
    log(LogLevel::kError,
        "Cannot start the TPM: its state \"%s\" is gone; put it back, or start swtpm anew for a new TPM",
        missing.c_str());
    return true;
  }
  for (BlobType type : {BlobType::kVolatile, BlobType::kSavestate}) {
    uint32_t size_bytes;
    if (store_.peek(type, size_bytes) == kTpmRetry) continue;
    std::string left = store_.describe(type);
    log(LogLevel::kError,
        "Cannot start the TPM: its state \"%s\" is gone, while \"%s\" is there; put it back, or move the "
        "other away for a new TPM",
        missing.c_str(), left.c_str());
    return true;
  }
  return false;
}

}  // namespace swtpm
