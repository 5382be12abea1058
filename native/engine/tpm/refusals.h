// The answers to TPM commands that libtpms has not given, and why: the log has one line for each reason,
// which says what to do. It comes when the reason applies first, and again when it does after a command was
// executed in between; never for each command.
//
// Every method may be called from any thread, and takes no mutex.
#pragma once

#include <array>
#include <atomic>

#include "engine/tpm/message.h"

namespace swtpm {

class Refusals {
 public:
  enum class Reason : size_t {
    // The TPM is off.
    kNoInit,       // it has never been powered on
    kStopped,      // by STOP
    kInitFailed,   // the last INIT failed
    kOff,          // this engine has it from another one, off
    kNotRestored,  // after a command that could not be stored
    // The TPM is on.
    kHandedOver,       // to another engine
    kStorageUnlocked,  // the lock on its state is not held, as after a migration
    kTurnedAway,       // it was powered on or off while the command waited for that lock
    kHeldByScript,     // and then the TPM was powered off for good, or handed over
    kNotStored,        // what the command changes
    kLibtpmsFailed,    // to execute it
    kFailureMode,      // libtpms gave this answer, to each command from now on
    // The command is no command.
    kTooShort,  // for a header
    kCutOff,    // fewer bytes have come than its header says
    kTooLong,
    kSetLocalityForbidden,
    kLocalityForbidden,
  };

  explicit Refusals(TpmVersion version) : version_(version) {}

  // Makes the answer, with this code, in `buffer`.
  ByteView answer(ResponseBuffer& buffer, Reason reason, TpmResult code);

  // libtpms will give the answer, or has given it, but could not do better.
  void note(Reason reason, TpmResult code);

  // A command was executed. It may not have stored anything.
  void executed() {
    if (logged_.load(std::memory_order_relaxed) & ~bit(Reason::kNotStored))
      forget_all_but(Reason::kNotStored);
  }
  void stored() {
    if (logged_.load(std::memory_order_relaxed) & bit(Reason::kNotStored)) forget(Reason::kNotStored);
  }
  // The TPM is on again.
  void powered_on() { logged_.store(0); }

 private:
  static constexpr size_t kReasonCount = static_cast<size_t>(Reason::kLocalityForbidden) + 1;
  static uint32_t bit(Reason reason) { return 1u << static_cast<size_t>(reason); }

  void forget(Reason reason) { logged_.fetch_and(~bit(reason)); }
  void forget_all_but(Reason reason) { logged_.fetch_and(bit(reason)); }

  const TpmVersion version_;
  std::atomic<uint32_t> logged_{0};  // a bit for each reason
  std::array<std::atomic<unsigned>, kReasonCount> lines_{};
};

}  // namespace swtpm
