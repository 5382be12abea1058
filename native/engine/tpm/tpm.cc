#include "engine/tpm/tpm.h"

#include <libtpms/tpm_error.h>
#include <libtpms/tpm_library.h>
#include <libtpms/tpm_nvfilename.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <poll.h>

#include "common/log.h"
#include "engine/libcrypto/prime_search.h"
#include "engine/tpm/clock.h"
#include "engine/tpm/library.h"

namespace swtpm {
namespace {

using Lock = std::unique_lock<std::mutex>;

constexpr uint32_t kTpm2CcShutdown = 0x145;
constexpr uint32_t kTpm2CcStirRandom = 0x146;
constexpr uint32_t kTpm12OrdStirRandom = 0x47;
constexpr size_t kStirBytes = 32;
constexpr uint16_t kTpm2SuClear = 0;
constexpr uint16_t kTpm2SuState = 1;
constexpr int64_t kExitPatienceMs = 3000;

// libtpms's callbacks carry no context; there is one TPM per process.
Tpm* g_tpm = nullptr;
NvState* g_state = nullptr;

// A host in FIPS mode denies algorithms that the TPM specification asks for (SHA-1, small keys); they are the
// guest's business here, so the mode is left for this process.
void leave_fips_mode() {
  if (EVP_default_properties_is_fips_enabled(nullptr)) EVP_default_properties_enable_fips(nullptr, 0);
}

}  // namespace

struct Callbacks {
  static TPM_RESULT nvram_init() { return TPM_SUCCESS; }

  static TPM_RESULT load(unsigned char** data, uint32_t* length, uint32_t, const char* name) {
    *data = nullptr;
    *length = 0;
    auto type = blob_type(std::string_view(name));
    Bytes plain;
    if (!type) return TPM_FAIL;
    if (TpmResult result = g_state->load(*type, plain)) return result;
    // libtpms frees it; malloc(0) may be null, which libtpms would take for "no state".
    *data = static_cast<unsigned char*>(malloc(plain.size() + 1));
    if (!*data) return TPM_FAIL;
    memcpy(*data, plain.data(), plain.size());
    *length = static_cast<uint32_t>(plain.size());
    return TPM_SUCCESS;
  }

  static TPM_RESULT store(const unsigned char* data, uint32_t length, uint32_t, const char* name) {
    auto type = blob_type(std::string_view(name));
    return type ? g_state->store(*type, {data, length}) : TPM_FAIL;
  }

  static TPM_RESULT erase(uint32_t, const char* name, TPM_BOOL must_exist) {
    auto type = blob_type(std::string_view(name));
    return type ? g_state->erase(*type, must_exist) : TPM_FAIL;
  }

  static TPM_RESULT get_locality(TPM_MODIFIER_INDICATOR* locality, uint32_t) {
    *locality = g_tpm->effective_locality();
    return TPM_SUCCESS;
  }
};

Tpm::Tpm(NvState& state, Heritage& heritage, const Options& options)
    : state_(state), heritage_(heritage), options_(options) {
  g_tpm = this;
  g_state = &state_;
  if (options_.debug_level > 0) {
    TPMLIB_SetDebugFD(2);
    TPMLIB_SetDebugLevel(options_.debug_level);
    if (!options_.debug_prefix.empty()) TPMLIB_SetDebugPrefix(options_.debug_prefix.c_str());
  }
  libtpms_callbacks callbacks{};
  callbacks.sizeOfStruct = sizeof(callbacks);
  callbacks.tpm_nvram_init = Callbacks::nvram_init;
  callbacks.tpm_nvram_loaddata = Callbacks::load;
  callbacks.tpm_nvram_storedata = Callbacks::store;
  callbacks.tpm_nvram_deletename = Callbacks::erase;
  callbacks.tpm_io_getlocality = Callbacks::get_locality;
  TPMLIB_RegisterCallbacks(&callbacks);
  leave_fips_mode();
  // Chosen before the first INIT, too: state blobs may be set, and sizes asked for, before that.
  if (TPMLIB_ChooseTPMVersion(library::choice(options_.version)) != TPM_SUCCESS)
    log(LogLevel::kError, "Cannot use this TPM version: libtpms was built without it");
}

TpmResult Tpm::set_profile(std::string json) {
  if (!TPMLIB_SetProfile || options_.version != TpmVersion::k20) return TPM_FAIL;
  Lock lock(mutex_);
  profile_ = std::move(json);
  return kTpmSuccess;
}

TpmResult Tpm::init(uint32_t flags) {
  constexpr uint32_t kDeleteVolatile = 1;
  Lock lock(mutex_);
  power_off();
  if (TpmResult result = TPMLIB_ChooseTPMVersion(library::choice(options_.version))) return result;

  if (!profile_.empty()) {
    if (TpmResult result = TPMLIB_SetProfile(profile_.c_str())) {
      log(LogLevel::kError, "Cannot use profile '%s': libtpms refuses it", profile_.c_str());
      return result;
    }
  }

  state_.take_failure();
  LogOnce once;
  TpmResult result = TPMLIB_MainInit();
  if (result != TPM_SUCCESS && state_.swap_backup() == kTpmSuccess) {
    log(LogLevel::kWarning, "The TPM did not start with its state; trying the backup");
    TPMLIB_Terminate();
    TPMLIB_ChooseTPMVersion(library::choice(options_.version));
    result = TPMLIB_MainInit();
    if (result != TPM_SUCCESS) state_.swap_backup();  // the backup is no better: put it back
  }
  // libtpms does not mind whether the new TPM that it has made could be stored.
  if (result == TPM_SUCCESS && state_.take_failure()) result = kTpmIoerror;
  // The volatile state goes only after libtpms has read it.
  if (result == TPM_SUCCESS && (flags & kDeleteVolatile)) result = state_.erase(BlobType::kVolatile, false);

  if (result == TPM_SUCCESS && !profile_.empty() && !TPMLIB_WasManufactured()) {
    log(LogLevel::kError, "Cannot apply a profile to a TPM that exists already");
    result = TPM_FAIL;
  }

  if (result != TPM_SUCCESS) {
    TPMLIB_Terminate();  // the supervisor reports the result
    return result;
  }
  profile_.clear();  // the next INIT starts the TPM that exists now
  running_.store(true, std::memory_order_release);
  permanent_number_ = 0;
  take_down();
  return kTpmSuccess;
}

TpmResult Tpm::resume() {
  Lock lock(mutex_);
  handed_over_ = false;
  if (running()) return kTpmSuccess;
  Heritage::Saved saved;
  if (!heritage_.load(saved)) {
    log(LogLevel::kError, "The TPM cannot go on in another engine: what it was could not be kept");
    return kTpmFail;
  }
  for (auto slot : {KeySlot::kFile, KeySlot::kMigration}) {
    ByteView key = heritage_.key(slot);
    if (!key.empty()) state_.set_key(slot, key);
  }
  if (heritage_.buffer_size() > 0) TPMLIB_SetBufferSize(heritage_.buffer_size(), nullptr, nullptr);
  if (!saved.running) return kTpmSuccess;
  state_.restore_permanent(saved.permanent_state);
  if (TpmResult result = restore(saved)) {
    log(LogLevel::kError, "The TPM cannot go on in another engine: libtpms returned 0x%x", result);
    TPMLIB_Terminate();
    return kTpmFail;
  }
  // What the engine before stored for a command that it did not answer is taken back.
  state_.write_back();
  shutdown_due_ = saved.shutdown_due;
  running_.store(true, std::memory_order_release);
  stir_random();
  permanent_number_ = 0;
  take_down();
  return kTpmSuccess;
}

TpmResult Tpm::hand_over() {
  Lock lock(mutex_);
  if (running()) {
    state_.write_back();
    take_down();
    Heritage::Saved saved;
    if (!heritage_.load(saved)) return kTpmFail;
  }
  // The next engine opens what is stored before this one has ended.
  if (TpmResult result = state_.set_locked(false)) return result;
  handed_over_ = true;
  return kTpmSuccess;
}

// The state that a TPM goes on with holds the state of its random number generator, too: without fresh
// entropy it would say again what it has said since.
void Tpm::stir_random() {
  ByteWriter command;
  if (options_.version == TpmVersion::k20)
    command.u16(0x8001).u32(12 + kStirBytes).u32(kTpm2CcStirRandom).u16(kStirBytes);
  else
    command.u16(0x00c1).u32(14 + kStirBytes).u32(kTpm12OrdStirRandom).u32(kStirBytes);
  uint8_t entropy[kStirBytes];
  RAND_bytes(entropy, sizeof(entropy));
  Bytes bytes = command.bytes(entropy).take();
  ResponseBuffer buffer;
  run(bytes, buffer);  // before Startup it is refused, and not needed
}

TpmResult Tpm::stop() {
  Lock lock(mutex_);
  power_off();
  return kTpmSuccess;
}

void Tpm::stop_at_exit() {
  Lock lock(mutex_, std::try_to_lock);
  int64_t deadline_ms = coarse_now_ms() + kExitPatienceMs;
  // Repeated, because the command after the cancelled one may have started already.
  while (!lock.owns_lock()) {
    if (coarse_now_ms() > deadline_ms) return;
    cancel();
    ::poll(nullptr, 0, 5);
    lock.try_lock();
  }
  if (!handed_over_) power_off();
}

// Called with the mutex held.
void Tpm::power_off() {
  if (running() && options_.auto_shutdown) send_shutdown_if_due();
  running_.store(false, std::memory_order_release);
  TPMLIB_Terminate();
  shutdown_due_ = false;
  state_.power_off();
  heritage_.set_off();
}

void Tpm::send_shutdown_if_due() {
  if (options_.version != TpmVersion::k20 || !shutdown_due_) return;
  ResponseBuffer buffer;
  // STATE keeps more, and does no harm if the next Startup is CLEAR; it can fail where CLEAR does not.
  for (uint16_t type : {kTpm2SuState, kTpm2SuClear}) {
    Bytes command = ByteWriter().u16(0x8001).u32(12).u32(kTpm2CcShutdown).u16(type).take();
    ByteView response = run(command, buffer);
    TpmResult code = message_code(response.data());
    // INITIALIZE: there was no Startup, so there is nothing to shut down.
    if (code == kTpmSuccess || code == kTpmRcInitialize) return;
  }
}

ByteView Tpm::run(std::span<uint8_t> command, ResponseBuffer& buffer) {
  buffer.size_ = 0;
  TPM_RESULT result = TPMLIB_Process(&buffer.data_, &buffer.size_, &buffer.capacity_, command.data(),
                                     static_cast<uint32_t>(command.size()));
  // Whatever happened, the client gets a well-formed answer.
  if (result != TPM_SUCCESS || buffer.size_ < kTpmHeaderSizeBytes)
    return buffer.set(options_.version, failure_code(options_.version));
  return buffer.view();
}

ByteView Tpm::process(std::span<uint8_t> command, ResponseBuffer& buffer,
                      const CommandOptions& command_options) {
  CommandEffect effect = nature_of(options_.version, command).effect;
  Lock lock(mutex_);
  return process_in_turn(command, effect, buffer, command_options);
}

std::optional<ByteView> Tpm::process_if_short(std::span<uint8_t> command, ResponseBuffer& buffer,
                                              const CommandOptions& command_options) {
  CommandNature nature = nature_of(options_.version, command);
  if (!nature.is_short) return std::nullopt;
  Lock lock(mutex_, std::try_to_lock);
  if (!lock) return std::nullopt;
  return process_in_turn(command, nature.effect, buffer, command_options);
}

// Called with the mutex held.
ByteView Tpm::process_in_turn(std::span<uint8_t> command, CommandEffect effect, ResponseBuffer& buffer,
                              const CommandOptions& command_options) {
  if (command_options.on_turn) command_options.on_turn();
  TpmVersion version = options_.version;
  if (!running() || handed_over_) return buffer.set(version, failure_code(version));
  if (command.size() < kTpmHeaderSizeBytes) return buffer.set(version, command_options.short_code);
  if (is_set_locality(command)) {
    uint8_t wanted = 0;
    TpmResult code = judge_set_locality(command, version, options_.locality_policy, wanted);
    if (code == kTpmSuccess) heritage_.set_locality(wanted);
    return buffer.set(version, code);
  }
  locality_override_ = command_options.locality;
  ByteView response = run_safely(command, effect, buffer);
  locality_override_.reset();
  return response;
}

uint8_t Tpm::effective_locality() const {
  return locality_override_.value_or(heritage_.locality());
}

// Puts the TPM's state where another engine can go on from, and where we can go back to.
void Tpm::take_down() {
  uint64_t number = state_.permanent_number();
  Bytes permanent;
  if (number != permanent_number_) permanent = state_.permanent();
  library::VolatileState state;
  if (state.result() != TPM_SUCCESS) return heritage_.set_lost();
  heritage_.save(state.view(), number != permanent_number_ ? &permanent : nullptr, shutdown_due_);
  permanent_number_ = number;
}

// Runs a command such that its effect is either whole and safe when it is answered, or not there at all.
ByteView Tpm::run_safely(std::span<uint8_t> command, CommandEffect effect, ResponseBuffer& buffer) {
  // libtpms may change the command while it reads it.
  bool shuts_down = message_code(command.data()) == kTpm2CcShutdown;
  bool staged = effect == CommandEffect::kRepeatable && heritage_.stage(command, effective_locality());
  if (effect == CommandEffect::kReads) {
    state_.set_postponing(true);
  } else {
    state_.write_back();
    state_.take_failure();
  }
  ByteView response = run_cancellably(command, buffer);
  if (effect == CommandEffect::kReads)
    state_.set_postponing(false);
  else if (state_.take_failure())
    return roll_back(buffer, storage_code(options_.version));
  if (cut_short_ && message_code(response.data()) != kTpmRcCanceled) return roll_back(buffer, kTpmRcCanceled);

  shutdown_due_ = !(shuts_down && message_code(response.data()) == kTpmSuccess);
  bool same_permanent_state = state_.permanent_number() == permanent_number_;
  if (same_permanent_state && effect == CommandEffect::kReads) return response;
  if (same_permanent_state && staged)
    heritage_.keep_staged(shutdown_due_);
  else
    take_down();
  return response;
}

ByteView Tpm::run_cancellably(std::span<uint8_t> command, ResponseBuffer& buffer) {
  // A search is only cut short with something to be set back to.
  running_command_.begin(options_.version == TpmVersion::k20 && prime_search::in_command(command) &&
                         heritage_.has_running());
  ByteView response = run(command, buffer);
  cut_short_ = running_command_.end();
  return response;
}

// A command that could not store what it changed, or was cut short, has not happened: the TPM is set back to
// where it was before it, and the client hears so. libtpms by itself would refuse every command from then on,
// or have a key that is none.
ByteView Tpm::roll_back(ResponseBuffer& buffer, TpmResult code) {
  Heritage::Saved before;
  if (!heritage_.load(before) || !before.running) return buffer.view();
  if (TpmResult result = restore(before)) {
    log(LogLevel::kError,
        "The TPM is off: what it was before a command that failed could not be restored: 0x%x", result);
    TPMLIB_Terminate();
    heritage_.set_off();
    running_.store(false, std::memory_order_release);
  }
  return buffer.set(options_.version, code);
}

// Called with the mutex held. Powers the TPM on as it was.
TpmResult Tpm::restore(const Heritage::Saved& saved) {
  TPMLIB_Terminate();
  state_.begin_restore(saved.volatile_state);
  TPMLIB_ChooseTPMVersion(library::choice(options_.version));
  TPM_RESULT result = TPMLIB_MainInit();
  ResponseBuffer buffer;
  if (result == TPM_SUCCESS) {
    for (const Heritage::Command& command : saved.commands) {
      Bytes bytes = command.bytes;
      locality_override_ = command.locality;
      run(bytes, buffer);
    }
    locality_override_.reset();
  }
  state_.end_restore();
  return result;
}

TpmResult Tpm::cancel() {
  if (options_.version == TpmVersion::k12) return TPMLIB_CancelCommand();  // says "not supported"
  running_command_.cancel();
  return kTpmSuccess;
}

TpmResult Tpm::set_locality(uint8_t locality) {
  if (!options_.locality_policy.permits(locality)) return kTpmBadLocality;
  heritage_.set_locality(locality);
  return kTpmSuccess;
}

}  // namespace swtpm
