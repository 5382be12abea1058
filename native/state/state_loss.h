// A TPM that has lost its state must not start as another one: what is known of the TPM before libtpms
// starts, and what is wrong with the state that the store has, or has no longer.
#pragma once

#include <atomic>
#include <string>

#include "common/bytes.h"
#include "common/tpm_result.h"
#include "state/store.h"

namespace swtpm {

// What load() has found of a volatile state. kUnusable (logged): libtpms takes that for no volatile state,
// and starts as after a reset.
enum class FoundVolatile { kNotAsked, kNone, kLoaded, kUnusable };

// Not thread-safe, except found_volatile().
class StateLoss {
 public:
  explicit StateLoss(Store& store) : store_(store) {}

  // libtpms is about to start. state_given: the client has set the permanent state, so that the store may
  // have none.
  void begin_power_on(bool state_given);
  void power_off() { state_given_ = false; }
  // This TPM has run, in this engine or in another one.
  void set_has_run() { has_run_ = true; }

  // Called when the store has no permanent state. True (logged): it should have one, because this TPM has run
  // before, or because there is another state of it.
  bool permanent_is_lost() const;

  // Called with what loading the volatile state gave; returns what libtpms is to get. kTpmFail (logged): it
  // is too short.
  TpmResult judge_volatile(TpmResult loaded, ByteView plain);
  FoundVolatile found_volatile() const { return found_volatile_; }

  // Logs that libtpms refuses the volatile state.
  void report_refused_volatile() const;
  // Logs that libtpms, of that release, refuses the permanent state.
  void report_refused_permanent(const std::string& release) const;
  // What to do about a volatile state that cannot be used, as the end of a message.
  std::string volatile_advice() const;

 private:
  Store& store_;
  bool state_given_ = false;
  bool has_run_ = false;
  std::atomic<FoundVolatile> found_volatile_{FoundVolatile::kNotAsked};
};

}  // namespace swtpm
