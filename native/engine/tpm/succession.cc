// A TPM that continues in another engine: how it is saved, left, and restored.
#include "engine/tpm/succession.h"

#include <libtpms/tpm_error.h>
#include <libtpms/tpm_library.h>

#include "common/log.h"
#include "engine/tpm/command_effect.h"
#include "engine/tpm/library.h"
#include "engine/tpm/random.h"
#include "engine/tpm/tpm.h"

namespace swtpm {

TpmResult Tpm::resume() {
  Lock lock(mutex_);
  TpmResult result = running() ? kTpmSuccess : resume_from_checkpoint();
  if (result == kTpmSuccess) succession_.take(Succession::Step::kResumed);
  return result;
}

TpmResult Tpm::resume_from_checkpoint() {
  Checkpoint::Saved saved;
  if (!checkpoint_.load(saved)) {
    log(LogLevel::kError, "Cannot resume the TPM in a new engine: no complete saved state");
    return kTpmFail;
  }
  for (KeySlot slot : {KeySlot::kFile, KeySlot::kMigration}) {
    ByteView key = checkpoint_.key(slot);
    if (!key.empty()) state_.set_key(slot, key);
  }
  if (checkpoint_.buffer_size() > 0) TPMLIB_SetBufferSize(checkpoint_.buffer_size(), nullptr, nullptr);
  if (!saved.permanent_state.empty()) state_.set_has_run();
  off_reason_ = Refusals::Reason::kOff;
  if (!saved.running) return kTpmSuccess;
  state_.restore_permanent(saved.permanent_state);
  if (TpmResult result = restore(saved)) {
    log(LogLevel::kError, "Cannot resume the TPM in a new engine: libtpms returned 0x%x", result);
    TPMLIB_Terminate();
    return kTpmFail;
  }
  // The engine before this one may have stored something for a command that it did not answer: undo that.
  state_.write_back();
  state_.powered_on();
  shutdown_due_ = saved.shutdown_due;
  running_.store(true, std::memory_order_release);
  stir_random(options_.version);
  permanent_number_ = 0;
  if (guests_)
    guests_->clear_out_others(
        [this](std::span<uint8_t> command, ResponseBuffer& buffer) { return execute(command, buffer); });
  save_checkpoint();
  return kTpmSuccess;
}

TpmResult Tpm::hand_over() {
  Lock lock(mutex_);
  if (running()) {
    clear_out_guests();
    state_.write_back();
    save_checkpoint();
    Checkpoint::Saved saved;
    if (!checkpoint_.load(saved)) return kTpmFail;
  }
  // The next engine opens the store before this one has ended.
  if (TpmResult result = state_.set_locked(false)) return result;
  succession_.take(Succession::Step::kHandOver);
  return kTpmSuccess;
}

void Tpm::save_checkpoint() {
  uint64_t number = state_.permanent_number();
  bool changed = number != permanent_number_;
  Bytes permanent;
  if (changed) permanent = state_.permanent();
  library::VolatileState state;
  if (state.result() != TPM_SUCCESS) {
    log(LogLevel::kError,
        "Cannot save the TPM's state: libtpms returned 0x%x. If the engine dies or is to be replaced, the "
        "TPM "
        "ends, and a command that fails cannot be rolled back",
        state.result());
    return checkpoint_.set_incomplete();
  }
  if (checkpoint_.save(state.view(), changed ? &permanent : nullptr, shutdown_due_))
    permanent_number_ = number;
}

TpmResult Tpm::restore(const Checkpoint::Saved& saved) {
  TPMLIB_Terminate();
  state_.begin_restore(saved.volatile_state);
  TPMLIB_ChooseTPMVersion(library::choice(options_.version));
  TPM_RESULT result = library::main_init();
  ResponseBuffer buffer;
  if (result == TPM_SUCCESS) {
    for (const Checkpoint::Command& command : saved.commands) {
      // They may be a stranger's, who has broken into the engine before: what broke into that is not to be
      // repeated.
      if (command.locality > wire::kHighestLocality ||
          nature_of(options_.version, command.bytes).effect != CommandEffect::kRepeatable) {
        log(LogLevel::kError, "The engine before has left a command that is none to be repeated");
        result = TPM_FAIL;
        break;
      }
      Bytes bytes = command.bytes;
      locality_override_ = command.locality;
      library::process(bytes, buffer);
    }
    locality_override_.reset();
  }
  state_.end_restore();
  return result;
}

}  // namespace swtpm
