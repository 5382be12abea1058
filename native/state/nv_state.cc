#include "state/nv_state.h"

#include "common/log.h"
#include "state/state_blob.h"
#include "state/stored_state.h"

namespace swtpm {

TpmResult NvState::set_key(KeySlot slot, ByteView key) {
  std::lock_guard lock(mutex_);
  Key& target = slot == KeySlot::kFile ? keys_.file() : keys_.migration();
  if (!target.set(key)) return kTpmBadKeyProperty;
  has_key_[static_cast<size_t>(slot)] = true;
  return kTpmSuccess;
}

void NvState::wipe_keys() {
  std::lock_guard lock(mutex_);
  keys_.wipe();
}

bool NvState::has_key(KeySlot slot) const {
  return has_key_[static_cast<size_t>(slot)];
}

TpmResult NvState::load_from_store(BlobType type, Bytes& plain) {
  Bytes blob;
  if (TpmResult result = store_->load(type, blob)) return result;
  return read_stored_state(keys_.file(), blob, store_->describe(type).c_str(), plain);
}

TpmResult NvState::store_in_store(BlobType type, ByteView plain) {
  Bytes blob;
  if (TpmResult result = make_stored_state(keys_.file(), plain, blob)) return result;
  bool had_journal = store_->journal_end_due().has_value();
  // A disk that is full fails one command after the other.
  LogOnce once(&failures_);
  TpmResult result = store_->store(type, blob);
  if (result == kTpmSuccess) {
    failures_.clear();
    if (type == BlobType::kPermanent) store_is_ours_ = true;
  }
  if (!had_journal && store_->journal_end_due()) journal_begun_.notify_one();
  return result;
}

TpmResult NvState::load(BlobType type, Bytes& plain) {
  std::lock_guard lock(mutex_);
  return type == BlobType::kVolatile ? load_volatile(plain) : load_locked(type, plain);
}

TpmResult NvState::load_volatile(Bytes& plain) {
  LogAdvice advice(loss_.volatile_advice());
  TpmResult loaded = load_locked(BlobType::kVolatile, plain);
  return loss_.judge_volatile(loaded, plain);
}

void NvState::report_refused_volatile() const {
  std::lock_guard lock(mutex_);
  loss_.report_refused_volatile();
}

void NvState::report_refused_permanent(const std::string& release) const {
  std::lock_guard lock(mutex_);
  if (permanent_ || held_back_.contains(BlobType::kPermanent)) loss_.report_refused_permanent(release);
}

TpmResult NvState::load_locked(BlobType type, Bytes& plain) {
  if (restoring_ && type == BlobType::kVolatile) {
    plain = *restoring_;
    return kTpmSuccess;
  }
  if ((restoring_ || store_may_differ_) && type == BlobType::kPermanent && permanent_) {
    plain = *permanent_;
    return kTpmSuccess;
  }
  if (auto held = held_back_.find(type); held != held_back_.end()) {
    if (!held->second) return kTpmRetry;
    plain = *held->second;
    return kTpmSuccess;
  }
  TpmResult result = load_from_store(type, plain);
  if (result == kTpmSuccess && type == BlobType::kPermanent) {
    set_permanent(plain);
    store_is_ours_ = true;
  }
  if (result == kTpmRetry && type == BlobType::kPermanent && loss_.permanent_is_lost()) return kTpmFail;
  return result;
}

TpmResult NvState::state_of_running(BlobType type, Bytes& plain) {
  std::lock_guard lock(mutex_);
  if (type == BlobType::kPermanent && permanent_) {
    plain = *permanent_;
    return kTpmSuccess;
  }
  if (type == BlobType::kSavestate && savestate_) {
    plain = savestate_->plain;
    return savestate_->result;
  }
  return load_locked(type, plain);
}

void NvState::begin_power_on(bool state_given) {
  std::lock_guard lock(mutex_);
  loss_.begin_power_on(state_given);
}

void NvState::powered_on() {
  std::lock_guard lock(mutex_);
  loss_.set_has_run();
  Bytes plain;
  TpmResult result = load_locked(BlobType::kSavestate, plain);
  savestate_ = {result, std::move(plain)};
}

void NvState::set_has_run() {
  std::lock_guard lock(mutex_);
  loss_.set_has_run();
}

void NvState::secure_permanent() {
  std::lock_guard lock(mutex_);
  if (!locked_ || !permanent_ || !store_is_ours_ || store_may_differ_) return;
  Bytes stored;
  if (load_from_store(BlobType::kPermanent, stored) == kTpmSuccess && stored == *permanent_) return;
  log(LogLevel::kWarning, "State \"%s\" was changed or removed while the TPM ran; it is stored again",
      store_->describe(BlobType::kPermanent).c_str());
  // A journal is of no use without the file that it belongs to.
  store_->end_journal();
  store_may_differ_ = true;
  write_back_locked();
}

TpmResult NvState::store(BlobType type, ByteView plain) {
  std::lock_guard lock(mutex_);
  if (!locked_) {
    held_back_[type] = Bytes(plain.begin(), plain.end());
  } else if (TpmResult result = store_in_store(type, plain)) {
    return note_failure(type, plain, result);
  }
  if (type == BlobType::kPermanent) {
    set_permanent(plain);
    store_may_differ_ = false;
  }
  if (type == BlobType::kSavestate) savestate_ = {kTpmSuccess, Bytes(plain.begin(), plain.end())};
  return kTpmSuccess;
}

// Returns what the caller is to return: success if the state will be stored later.
TpmResult NvState::note_failure(BlobType type, std::optional<ByteView> plain, TpmResult result) {
  if (type == BlobType::kPermanent) store_may_differ_ = true;
  if (postponing_ && plain && type == BlobType::kPermanent) {
    set_permanent(*plain);
    return kTpmSuccess;
  }
  failed_ = true;
  return result;
}

TpmResult NvState::erase(BlobType type, bool must_exist) {
  std::lock_guard lock(mutex_);
  if (!locked_) {
    held_back_[type] = std::nullopt;
  } else if (TpmResult result = store_->erase(type, must_exist)) {
    return note_failure(type, std::nullopt, result);
  }
  if (type == BlobType::kSavestate) savestate_ = {kTpmRetry, {}};
  return kTpmSuccess;
}

TpmResult NvState::peek(BlobType type, uint32_t& size_bytes) {
  std::lock_guard lock(mutex_);
  return store_->peek(type, size_bytes);
}

TpmResult NvState::set_locked(bool locked) {
  std::lock_guard lock(mutex_);
  // If this fails, load() will fail too and report it.
  if (locked) store_->acquire();
  if (locked && !locked_) {
    while (!held_back_.empty()) {
      auto held = held_back_.begin();
      TpmResult result =
          held->second ? store_in_store(held->first, *held->second) : store_->erase(held->first, false);
      if (result) return result;
      held_back_.erase(held);
    }
  }
  // The lock is given up even if this fails: the state is complete in any case.
  TpmResult result = locked_ && !locked ? store_->release() : kTpmSuccess;
  if (!locked) store_is_ours_ = false;
  locked_ = locked;
  // The TPM may have been rolled back while the storage was not locked.
  write_back_locked();
  return result;
}

void NvState::end_journal_when_idle() {
  std::unique_lock lock(mutex_);
  while (true) {
    auto due = store_->journal_end_due();
    if (!due || !locked_) {
      journal_begun_.wait(lock);
    } else if (std::chrono::steady_clock::now() < *due) {
      journal_begun_.wait_until(lock, *due);
    } else {
      store_->end_journal();
      uint32_t size_bytes;
      if (store_->peek(BlobType::kPermanent, size_bytes) == kTpmRetry) store_may_differ_ = true;
      write_back_locked();
    }
  }
}

void NvState::power_off() {
  std::lock_guard lock(mutex_);
  write_back_locked();
  held_back_.clear();
  permanent_.reset();
  savestate_.reset();
  loss_.power_off();
  store_may_differ_ = false;
  if (locked_) store_->release();
}

// Called for each command, so it takes no lock.
bool NvState::take_failure() {
  return failed_.load(std::memory_order_relaxed) && failed_.exchange(false);
}

void NvState::write_back() {
  if (!store_may_differ_.load(std::memory_order_relaxed)) return;
  std::lock_guard lock(mutex_);
  write_back_locked();
}

void NvState::write_back_locked() {
  if (!store_may_differ_ || !permanent_ || !locked_) return;
  if (store_in_store(BlobType::kPermanent, *permanent_) == kTpmSuccess) store_may_differ_ = false;
}

void NvState::set_permanent(ByteView plain) {
  if (!permanent_) permanent_.emplace();
  permanent_->assign(plain.begin(), plain.end());
  permanent_number_++;
}

Bytes NvState::permanent() const {
  std::lock_guard lock(mutex_);
  return permanent_.value_or(Bytes{});
}

void NvState::restore_permanent(ByteView plain) {
  std::lock_guard lock(mutex_);
  set_permanent(plain);
  store_may_differ_ = true;
}

void NvState::begin_restore(ByteView volatile_state) {
  std::lock_guard lock(mutex_);
  restoring_ = Bytes(volatile_state.begin(), volatile_state.end());
  postponing_ = true;
}

void NvState::end_restore() {
  std::lock_guard lock(mutex_);
  restoring_.reset();
  postponing_ = false;
}

TpmResult NvState::swap_backup() {
  std::lock_guard lock(mutex_);
  return locked_ ? store_->swap_backup() : kTpmRetry;
}

TpmResult NvState::wrap_state_blob(ByteView plain, bool decrypted, Bytes& out, bool& is_encrypted) {
  std::lock_guard lock(mutex_);
  return swtpm::wrap_state_blob(keys_, plain, decrypted, out, is_encrypted);
}

TpmResult NvState::unwrap_state_blob(ByteView blob, const char* what, bool marked_encrypted, Bytes& plain) {
  std::lock_guard lock(mutex_);
  return swtpm::unwrap_state_blob(keys_, blob, what, marked_encrypted, plain);
}

}  // namespace swtpm
