// The TPM. libtpms is global to the process, so there is one per process. Its parts, each in a file of its
// own:
//
//   tpm.cc          commands: whose turn it is, and at which locality
//   transaction.cc  a command's effect is whole and safe, or there is none
//   power.cc        power on and off
//   succession.cc   the checkpoint, and engines that follow one another
//   tpm_verbs.cc    the other verbs
//
// A command passes process() or process_if_short(), which wait for its turn or do not; run_in_turn(), which
// adds the locality; run_as_transaction(), which adds the storage and the checkpoint; run_cancellable(),
// which adds CANCEL and the search for primes; and library::process(), which is libtpms.
//
// Every method may be called from any thread. Those that use libtpms wait until a running command has ended;
// the methods marked "does not wait" do not. docs/threads-and-locks.md has the order of all mutexes.
#pragma once

#include <atomic>
#include <mutex>
#include <string>

#include "engine/channel/tracer.h"
#include "engine/tpm/checkpoint.h"
#include "engine/tpm/command_effect.h"
#include "engine/tpm/command_processor.h"
#include "engine/tpm/running_command.h"
#include "engine/tpm/set_locality.h"
#include "engine/tpm/succession.h"
#include "state/nv_state.h"

namespace swtpm {

class Tpm final : public CommandProcessor {
 public:
  struct Options {
    TpmVersion version = TpmVersion::k12;
    LocalityPolicy locality_policy;
    bool auto_shutdown = true;  // TPM2_Shutdown before power-off, if the client sent none
    unsigned debug_level = 0;   // libtpms debug output to fd 2
    std::string debug_prefix;
    Tracer* tracer = nullptr;  // gets the commands that come from no client
  };

  Tpm(NvState& state, Checkpoint& checkpoint, const Options& options);
  Tpm(const Tpm&) = delete;
  Tpm& operator=(const Tpm&) = delete;

  // ---- Commands.

  TpmVersion version() const override { return options_.version; }
  bool running() const override { return running_.load(std::memory_order_acquire); }
  ByteView process(std::span<uint8_t> command, ResponseBuffer& buffer,
                   const CommandOptions& options) override;
  std::optional<ByteView> process_if_short(std::span<uint8_t> command, ResponseBuffer& buffer,
                                           const CommandOptions& options) override;
  // Does not wait.
  TpmResult set_locality(uint8_t locality);
  uint8_t locality() const override { return checkpoint_.locality(); }
  bool permits_locality(uint8_t locality) const override;
  Refusals& refusals() override { return refusals_; }

  // Cancels the command that runs now, if one does. Does not wait for its end.
  TpmResult cancel();
  void cancel_surrounded(const Surrounding& around) override { running_command_.cancel(&around); }

  // Whom it tells before it is powered off, saved or left. Before there are commands.
  void set_guests(Guests* guests) { guests_ = guests; }
  // Has `act` called when no command runs, with what it needs to take something out of the TPM; with null
  // where the TPM is off.
  void between_commands(const std::function<void(const Execute*)>& act);

  // ---- Power.

  // The profile that a new TPM 2.0 is made with, as JSON; an existing TPM then refuses to start. TPM_FAIL
  // where libtpms has no profiles (before 0.10).
  TpmResult set_profile(std::string json);

  // flags: PTM_INIT_FLAG_*. kTpmBadOrdinal: the TPM was handed over.
  TpmResult init(uint32_t flags);
  TpmResult stop();
  // As stop(), without TPM2_Shutdown whatever the options say.
  TpmResult cut_power();

  // For the end of the process: cancels what runs until the TPM is free, then stops it. Gives up after a few
  // seconds on a command that cannot be cancelled; the stored state is consistent at any time.
  void stop_at_exit();

  // ---- Succession.

  // Continues the TPM of the checkpoint, or the one that this engine handed over. kTpmFail (logged): there is
  // no complete checkpoint, or libtpms refuses it. A TPM that was off stays off, which is no error.
  TpmResult resume();

  // Leaves the TPM to another engine: from now on nothing is run or stored here, not even at the end.
  // kTpmFail: it cannot be handed over, and stays here.
  TpmResult hand_over();

  // ---- The other verbs.

  TpmResult get_established(uint8_t& bit);
  TpmResult reset_established(uint8_t locality);
  TpmResult hash_start();
  TpmResult hash_data(ByteView data);
  TpmResult hash_end();

  TpmResult store_volatile();
  TpmResult get_state_blob(uint32_t type, bool decrypted, Bytes& out, bool& is_encrypted);
  TpmResult set_state_blob(uint32_t type, bool marked_encrypted, ByteView blob);
  // The size of a stored state, without loading it. Waits for the storage only.
  TpmResult peek_state(uint32_t type, uint32_t& size_bytes);

  // kTpmBadKeyProperty: not 16 or 32 bytes.
  TpmResult set_key(KeySlot slot, ByteView key);
  // Does not wait.
  bool has_key(KeySlot slot) const { return state_.has_key(slot); }

  // Whether the storage is locked; see NvState::set_locked(). Waits for the storage only.
  TpmResult set_storage_locked(bool locked) { return state_.set_locked(locked); }

  struct BufferSizes {
    uint32_t current, min, max;
  };
  // 0 asks for the sizes and does not wait. kTpmBadOrdinal: not while running.
  TpmResult set_buffer_size(uint32_t wanted, BufferSizes& sizes);

  // A JSON text.
  std::string info(uint64_t flags);

 private:
  using Lock = std::unique_lock<std::mutex>;
  static constexpr uint32_t kTpm2CcShutdown = 0x145;

  // All that follow are called with the mutex held.

  bool usable() const { return running() && succession_.owns_tpm(); }
  uint8_t effective_locality() const;

  ByteView run_in_turn(std::span<uint8_t> command, CommandEffect effect, ResponseBuffer& buffer,
                       const CommandOptions& options);
  ByteView obey_set_locality(ByteView command, ResponseBuffer& buffer);
  ByteView run_as_transaction(std::span<uint8_t> command, CommandEffect effect, ResponseBuffer& buffer,
                              Surrounding* around);
  ByteView execute(std::span<uint8_t> command, ResponseBuffer& buffer);
  void clear_out_guests();
  ByteView run_until_taken(std::span<uint8_t> command, ResponseBuffer& buffer, Surrounding* around,
                           bool& cut_short);
  // cut_short: the command was ended by false results; what it has done must be rolled back.
  ByteView run_cancellable(std::span<uint8_t> command, ResponseBuffer& buffer, Surrounding* around,
                           bool& cut_short);
  // Restores the checkpoint, and answers the command with `code`.
  ByteView roll_back(ResponseBuffer& buffer, TpmResult code, Surrounding* around, const Execute& inner);
  ByteView roll_back_not_stored(ResponseBuffer& buffer, Surrounding* around, const Execute& inner);
  // What libtpms has answered.
  void note_answer(TpmResult code);

  TpmResult main_init();
  bool refuses_volatile_state();
  TpmResult store_given_savestate();
  void power_off();
  void send_shutdown_if_due();

  // Saves the TPM's state where another engine, or a rollback, finds it.
  void save_checkpoint();
  // Powers the TPM on as it was saved.
  TpmResult resume_from_checkpoint();
  TpmResult restore(const Checkpoint::Saved& saved);

  // A verb that changes the TPM.
  template <typename Verb>
  TpmResult change(Verb verb);

  NvState& state_;
  Checkpoint& checkpoint_;
  const Options options_;
  RunningCommand running_command_;
  Refusals refusals_;

  std::mutex mutex_;  // held while libtpms is at work, except by cancel()
  std::atomic<bool> running_{false};
  Succession succession_;
  Refusals::Reason off_reason_ = Refusals::Reason::kNoInit;  // while the TPM is off
  std::string profile_;
  bool shutdown_due_ = false;
  bool permanent_given_ = false;  // by SET_STATEBLOB, for the next power-on
  std::optional<Bytes> savestate_given_;
  uint64_t permanent_number_ = 0;  // of the permanent state in the checkpoint
  std::optional<uint8_t> locality_override_;
  Guests* guests_ = nullptr;
};

}  // namespace swtpm
