#include "engine/tpm/tpm.h"

#include <libtpms/tpm_error.h>
#include <libtpms/tpm_library.h>

#include "common/log.h"
#include "engine/tpm/callbacks.h"
#include "engine/tpm/insecure_seed.h"
#include "engine/tpm/library.h"
#include "engine/tpm/refused_crypto.h"
#include "engine/tpm/version_probe.h"

namespace swtpm {
Tpm::Tpm(NvState& state, Checkpoint& checkpoint, const Options& options)
    : state_(state), checkpoint_(checkpoint), options_(options), refusals_(options.version) {
  if (options_.debug_level > 0) {
    TPMLIB_SetDebugFD(2);
    TPMLIB_SetDebugLevel(options_.debug_level);
    if (!options_.debug_prefix.empty()) TPMLIB_SetDebugPrefix(options_.debug_prefix.c_str());
  }
  callbacks::install(state_, [this] { return effective_locality(); });
  leave_fips_mode();
  // Chosen before the first INIT, too: state blobs may be set, and sizes asked for, before that.
  if (TPMLIB_ChooseTPMVersion(library::choice(options_.version)) != TPM_SUCCESS)
    log(LogLevel::kError, "Cannot use this TPM version: libtpms was built without it");
}

ByteView Tpm::process(std::span<uint8_t> command, ResponseBuffer& buffer,
                      const CommandOptions& command_options) {
  CommandEffect effect = nature_of(options_.version, command).effect;
  Lock lock(mutex_);
  bool traced = command_options.own && !command_options.untold && options_.tracer;
  if (traced) options_.tracer->command(command, command_options.locality.value_or(checkpoint_.locality()));
  ByteView response = run_in_turn(command, effect, buffer, command_options);
  if (traced) options_.tracer->response(response);
  return response;
}

std::optional<ByteView> Tpm::process_if_short(std::span<uint8_t> command, ResponseBuffer& buffer,
                                              const CommandOptions& command_options) {
  CommandNature nature = nature_of(options_.version, command);
  if (!nature.is_short) return std::nullopt;
  Lock lock(mutex_, std::try_to_lock);
  if (!lock) return std::nullopt;
  return run_in_turn(command, nature.effect, buffer, command_options);
}

ByteView Tpm::run_in_turn(std::span<uint8_t> command, CommandEffect effect, ResponseBuffer& buffer,
                          const CommandOptions& command_options) {
  if (command_options.on_turn) command_options.on_turn();
  TpmVersion version = options_.version;
  if (!usable()) {
    // Nothing is wrong with either, so the log has no line for them.
    if (command_options.own || is_version_probe(command)) return buffer.set(version, failure_code(version));
    Refusals::Reason reason = succession_.owns_tpm() ? off_reason_ : Refusals::Reason::kHandedOver;
    return refusals_.answer(buffer, reason, failure_code(version));
  }
  if (command.size() < kTpmHeaderSizeBytes)
    return refusals_.answer(buffer, Refusals::Reason::kTooShort, command_options.short_code);
  if (is_set_locality(command)) return obey_set_locality(command, buffer);
  insecure_seed::count_command();
  locality_override_ = command_options.locality;
  ByteView response = run_as_transaction(command, effect, buffer, command_options.around);
  locality_override_.reset();
  return response;
}

ByteView Tpm::obey_set_locality(ByteView command, ResponseBuffer& buffer) {
  uint8_t wanted = 0;
  SetLocalityVerdict verdict = judge_set_locality(command, options_.locality_policy, wanted);
  switch (verdict) {
    case SetLocalityVerdict::kTooShort:
      return refusals_.answer(buffer, Refusals::Reason::kTooShort, insufficient_code(options_.version));
    case SetLocalityVerdict::kForbidden:
      return refusals_.answer(buffer, Refusals::Reason::kSetLocalityForbidden,
                              failure_code(options_.version));
    case SetLocalityVerdict::kWrongLocality:
      return refusals_.answer(buffer, Refusals::Reason::kLocalityForbidden, locality_code(options_.version));
    case SetLocalityVerdict::kObeyed:
      break;
  }
  checkpoint_.set_locality(wanted);
  return buffer.set(options_.version, kTpmSuccess);
}

uint8_t Tpm::effective_locality() const {
  return locality_override_.value_or(checkpoint_.locality());
}

TpmResult Tpm::set_locality(uint8_t locality) {
  if (!options_.locality_policy.permits(locality)) return kTpmBadLocality;
  checkpoint_.set_locality(locality);
  return kTpmSuccess;
}

// A client without the right to set the locality has what the control channel has set, and what is below.
bool Tpm::permits_locality(uint8_t locality) const {
  const LocalityPolicy& policy = options_.locality_policy;
  return policy.permits(locality) && (policy.allow_set_locality || locality <= checkpoint_.locality());
}

void Tpm::between_commands(const std::function<void(const Execute*)>& act) {
  Lock lock(mutex_);
  if (!usable()) return act(nullptr);
  state_.write_back();
  const Execute inner = [this](std::span<uint8_t> command, ResponseBuffer& buffer) {
    return execute(command, buffer);
  };
  act(&inner);
  save_checkpoint();
}

// Called with the mutex held.
void Tpm::clear_out_guests() {
  if (guests_ && running())
    guests_->clear_out(
        [this](std::span<uint8_t> command, ResponseBuffer& buffer) { return execute(command, buffer); });
}

TpmResult Tpm::cancel() {
  if (options_.version == TpmVersion::k12) return TPMLIB_CancelCommand();  // says "not supported"
  running_command_.cancel();
  return kTpmSuccess;
}

}  // namespace swtpm
