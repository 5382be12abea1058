// A command as a transaction: when it is answered its effect is whole and safe, or there is none.
#include <libtpms/tpm_library.h>

#include "common/log.h"
#include "engine/libcrypto/prime_search.h"
#include "engine/tpm/library.h"
#include "engine/tpm/tpm.h"

namespace swtpm {
namespace {

constexpr TpmResult kTpmRcRetry = 0x922;
constexpr int kMostTimes = 100;

}  // namespace

ByteView Tpm::run_as_transaction(std::span<uint8_t> command, CommandEffect effect, ResponseBuffer& buffer,
                                 Surrounding* around) {
  Execute inner;
  if (around) {
    inner = [this](std::span<uint8_t> own, ResponseBuffer& own_buffer) { return execute(own, own_buffer); };
    state_.write_back();
    if (around->enter(inner, command, buffer) == Surrounding::Entry::kAnswered) {
      if (around->changes_tpm()) save_checkpoint();
      return buffer.view();
    }
    if (around->changes_tpm()) effect = CommandEffect::kModifies;
  }
  // libtpms may change the command while it reads it.
  bool shuts_down = message_code(command.data()) == kTpm2CcShutdown;
  bool staged = effect == CommandEffect::kRepeatable && checkpoint_.stage(command, effective_locality());
  if (effect == CommandEffect::kReads) {
    state_.set_postponing(true);
  } else {
    state_.write_back();
    state_.take_failure();
  }
  bool cut_short = false;
  ByteView response = around ? run_until_taken(command, buffer, around, cut_short)
                             : run_cancellable(command, buffer, around, cut_short);
  if (effect == CommandEffect::kReads)
    state_.set_postponing(false);
  else if (state_.take_failure())
    return roll_back_not_stored(buffer, around, inner);
  if (cut_short && message_code(response.data()) != kTpmRcCanceled)
    return roll_back(buffer, kTpmRcCanceled, around, inner);
  if (around) {
    around->leave(inner, buffer);
    response = buffer.view();
  }

  shutdown_due_ = !(shuts_down && message_code(response.data()) == kTpmSuccess);
  note_answer(message_code(response.data()));
  bool same_permanent_state = state_.permanent_number() == permanent_number_;
  if (!same_permanent_state && effect != CommandEffect::kReads) refusals_.stored();
  if (same_permanent_state && effect == CommandEffect::kReads) return response;
  if (same_permanent_state && staged)
    checkpoint_.keep_staged(shutdown_due_);
  else
    save_checkpoint();
  return response;
}

// As the kernel's driver does for its clients: where the TPM asks for the command again, it gets it.
ByteView Tpm::run_until_taken(std::span<uint8_t> command, ResponseBuffer& buffer, Surrounding* around,
                              bool& cut_short) {
  const Bytes copy(command.begin(), command.end());
  ByteView response;
  for (int time = 0; time < kMostTimes; time++) {
    std::copy(copy.begin(), copy.end(), command.begin());
    response = run_cancellable(command, buffer, around, cut_short);
    if (cut_short || message_code(response.data()) != kTpmRcRetry) break;
  }
  return response;
}

ByteView Tpm::execute(std::span<uint8_t> command, ResponseBuffer& buffer) {
  return library::process(command, buffer) ? buffer.view()
                                           : buffer.set(options_.version, failure_code(options_.version));
}

ByteView Tpm::run_cancellable(std::span<uint8_t> command, ResponseBuffer& buffer, Surrounding* around,
                              bool& cut_short) {
  // Cutting a search for primes short needs a checkpoint to roll back to.
  running_command_.begin(
      options_.version == TpmVersion::k20 && prime_search::in_command(command) && checkpoint_.has_running(),
      around);
  bool executed = library::process(command, buffer);
  cut_short = running_command_.end();
  if (executed) return buffer.view();
  return refusals_.answer(buffer, Refusals::Reason::kLibtpmsFailed, failure_code(options_.version));
}

void Tpm::note_answer(TpmResult code) {
  bool failed = options_.version == TpmVersion::k20 ? code == kTpmRcFailure : code == kTpmFailedSelfTest;
  if (failed)
    refusals_.note(Refusals::Reason::kFailureMode, code);
  else if (code == kTpmSuccess)
    refusals_.executed();
}

ByteView Tpm::roll_back_not_stored(ResponseBuffer& buffer, Surrounding* around, const Execute& inner) {
  TpmResult code = storage_code(options_.version);
  refusals_.note(Refusals::Reason::kNotStored, code);
  return roll_back(buffer, code, around, inner);
}

// libtpms by itself would refuse every command after one that it could not store, and would keep the
// worthless key that a search for primes makes when it is cut short.
ByteView Tpm::roll_back(ResponseBuffer& buffer, TpmResult code, Surrounding* around, const Execute& inner) {
  Checkpoint::Saved before;
  if (!checkpoint_.load(before) || !before.running) {
    if (around) around->leave(inner, buffer);
    return buffer.view();
  }
  if (around) around->undone();
  if (TpmResult result = restore(before)) {
    log(LogLevel::kError,
        "The TPM is off: it could not be restored to its state before a command that failed: libtpms "
        "returned 0x%x",
        result);
    TPMLIB_Terminate();
    checkpoint_.set_off();
    off_reason_ = Refusals::Reason::kNotRestored;
    running_.store(false, std::memory_order_release);
  }
  return buffer.set(options_.version, code);
}

}  // namespace swtpm
