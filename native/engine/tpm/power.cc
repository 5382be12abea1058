// Powering the TPM on and off.
#include <libtpms/tpm_error.h>
#include <libtpms/tpm_library.h>
#include <poll.h>

#include "common/clock.h"
#include "common/log.h"
#include "engine/tpm/library.h"
#include "engine/tpm/tpm.h"

namespace swtpm {
namespace {

constexpr uint16_t kTpm2SuClear = 0;
constexpr uint16_t kTpm2SuState = 1;
constexpr int64_t kExitPatienceMs = 3000;

}  // namespace

TpmResult Tpm::set_profile(std::string json) {
  if (!TPMLIB_SetProfile || options_.version != TpmVersion::k20) return TPM_FAIL;
  Lock lock(mutex_);
  profile_ = std::move(json);
  return kTpmSuccess;
}

TpmResult Tpm::init(uint32_t flags) {
  Lock lock(mutex_);
  if (!succession_.take(Succession::Step::kPowerOn)) return kTpmBadOrdinal;
  power_off();
  off_reason_ = Refusals::Reason::kInitFailed;
  if (TpmResult result = TPMLIB_ChooseTPMVersion(library::choice(options_.version))) return result;

  if (!profile_.empty()) {
    if (TpmResult result = TPMLIB_SetProfile(profile_.c_str())) {
      log(LogLevel::kError, "Cannot use profile '%s': libtpms refuses it", profile_.c_str());
      return result;
    }
  }

  TpmResult result = main_init();
  if (result == TPM_SUCCESS) result = store_given_savestate();

  if (result == TPM_SUCCESS && !profile_.empty() && !TPMLIB_WasManufactured()) {
    log(LogLevel::kError, "Cannot apply a profile to a TPM that exists already");
    result = TPM_FAIL;
  }

  if (result == TPM_SUCCESS) {
    permanent_number_ = 0;
    save_checkpoint();
    // Only now: the TPM starts, and another engine could continue it.
    if (flags & wire::kPtmInitFlagDeleteVolatile) result = state_.erase(BlobType::kVolatile, false);
  }
  if (result != TPM_SUCCESS) {
    TPMLIB_Terminate();  // the supervisor reports the result
    state_.power_off();
    checkpoint_.set_off();
    return result;
  }
  profile_.clear();  // the next INIT starts the TPM that exists now
  permanent_given_ = false;
  state_.powered_on();
  refusals_.powered_on();
  running_.store(true, std::memory_order_release);
  return kTpmSuccess;
}

// Has libtpms start with the stored state or, if it refuses that, with the backup.
TpmResult Tpm::main_init() {
  state_.take_failure();
  state_.begin_power_on(permanent_given_);
  LogOnce once;
  TpmResult result = library::main_init();
  // libtpms does not mind that; but a TPM must not forget its PCRs.
  if (state_.found_volatile() == FoundVolatile::kUnusable) return failure_code(options_.version);
  if (result != TPM_SUCCESS && refuses_volatile_state()) {
    state_.report_refused_volatile();
    return result;
  }
  if (result != TPM_SUCCESS && state_.swap_backup() == kTpmSuccess) {
    log(LogLevel::kWarning, "The TPM did not start with its state; trying the backup");
    TPMLIB_Terminate();
    TPMLIB_ChooseTPMVersion(library::choice(options_.version));
    result = library::main_init();
    if (result != TPM_SUCCESS) state_.swap_backup();  // the backup is no better: put it back
  }
  if (result != TPM_SUCCESS) state_.report_refused_permanent(library::release());
  // libtpms does not mind whether the new TPM that it has made could be stored.
  if (result == TPM_SUCCESS && state_.take_failure()) return kTpmIoerror;
  return result;
}

// After a failed start: whether it is the volatile state that libtpms refuses. Then the backup of the
// permanent state would not help.
bool Tpm::refuses_volatile_state() {
  if (state_.found_volatile() != FoundVolatile::kLoaded) return false;
  TPMLIB_Terminate();
  TPMLIB_ChooseTPMVersion(library::choice(options_.version));
  return TPMLIB_ValidateState(TPMLIB_STATE_PERMANENT, 0) == TPM_SUCCESS;
}

// libtpms keeps a savestate that was set in memory alone, until Startup uses it.
TpmResult Tpm::store_given_savestate() {
  if (!savestate_given_) return kTpmSuccess;
  TpmResult result = savestate_given_->empty() ? state_.erase(BlobType::kSavestate, false)
                                               : state_.store(BlobType::kSavestate, *savestate_given_);
  if (result == kTpmSuccess) savestate_given_.reset();
  return result;
}

TpmResult Tpm::stop() {
  Lock lock(mutex_);
  if (!succession_.owns_tpm()) return kTpmBadOrdinal;
  if (running()) off_reason_ = Refusals::Reason::kStopped;
  power_off();
  return kTpmSuccess;
}

TpmResult Tpm::cut_power() {
  {
    Lock lock(mutex_);
    shutdown_due_ = false;
  }
  return stop();
}

void Tpm::stop_at_exit() {
  Lock lock(mutex_, std::defer_lock);
  int64_t deadline_ms = coarse_now_ms() + kExitPatienceMs;
  // Repeated, because the command after the cancelled one may have started already.
  while (!lock.try_lock()) {
    if (coarse_now_ms() > deadline_ms) return;
    cancel();
    ::poll(nullptr, 0, 5);
  }
  if (succession_.has_tpm()) power_off();
}

void Tpm::power_off() {
  clear_out_guests();
  if (running() && options_.auto_shutdown) send_shutdown_if_due();
  if (running()) state_.secure_permanent();
  running_.store(false, std::memory_order_release);
  TPMLIB_Terminate();
  shutdown_due_ = false;
  state_.power_off();
  checkpoint_.set_off();
}

void Tpm::send_shutdown_if_due() {
  if (options_.version != TpmVersion::k20 || !shutdown_due_) return;
  ResponseBuffer buffer;
  // STATE keeps more, and does no harm if the next Startup is CLEAR; it can fail where CLEAR does not.
  for (uint16_t type : {kTpm2SuState, kTpm2SuClear}) {
    Bytes command = ByteWriter().u16(0x8001).u32(12).u32(kTpm2CcShutdown).u16(type).take();
    if (options_.tracer) options_.tracer->command(command, 0);
    if (!library::process(command, buffer)) continue;
    if (options_.tracer) options_.tracer->response(buffer.view());
    TpmResult code = message_code(buffer.view().data());
    // INITIALIZE: there was no Startup, so there is nothing to shut down.
    if (code == kTpmSuccess || code == kTpmRcInitialize) return;
  }
}

}  // namespace swtpm
