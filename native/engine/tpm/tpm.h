// The TPM, whose libtpms is global to the process. It is powered on and off, runs commands (tpm.cc) and verbs
// (tpm_verbs.cc) one at a time, and serves libtpms's callbacks from the NvState.
//
// Every method may be called from any thread. Those that touch the TPM wait until a running command has
// ended; cancel() and the locality setter do not.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "engine/tpm/command_effect.h"
#include "engine/tpm/heritage.h"
#include "engine/tpm/message.h"
#include "engine/tpm/running_command.h"
#include "engine/tpm/set_locality.h"
#include "state/nv_state.h"

namespace swtpm {

class Tpm {
 public:
  struct Options {
    TpmVersion version = TpmVersion::k12;
    LocalityPolicy locality_policy;
    bool auto_shutdown = true;  // TPM2_Shutdown before power-off, if the client sent none
    unsigned debug_level = 0;   // libtpms debug output to fd 2
    std::string debug_prefix;
  };

  // One per process.
  Tpm(NvState& state, Heritage& heritage, const Options& options);
  Tpm(const Tpm&) = delete;
  Tpm& operator=(const Tpm&) = delete;

  TpmVersion version() const { return options_.version; }
  bool running() const { return running_.load(std::memory_order_acquire); }

  // The profile that a new TPM 2.0 is made with, as JSON; an existing TPM then refuses to start. TPM_FAIL
  // where libtpms has no profiles (before 0.10).
  TpmResult set_profile(std::string json);

  TpmResult init(uint32_t flags);
  TpmResult stop();

  // Goes on where another engine, or this one before hand_over(), has stopped. kTpmFail (logged): there is
  // nothing to go on with. A TPM that was off stays so, and is no error.
  TpmResult resume();

  // Leaves the TPM to another engine: from now on nothing is run or stored here, not even at the end. Waits
  // until a running command has ended. kTpmFail: it cannot be handed over, and goes on.
  TpmResult hand_over();

  // For the end of the process: cancels what runs until the TPM is free, then stops it. Gives up after a few
  // seconds on a command that cannot be cancelled; the stored state is consistent at any time.
  void stop_at_exit();

  struct CommandOptions {
    // The response code to a command that is shorter than a header; front ends have always differed in it.
    TpmResult short_code;
    // For this command alone; otherwise the current locality.
    std::optional<uint8_t> locality = std::nullopt;
    // Called when the command's turn has come: verbs from now on take effect after it. Must not block.
    std::function<void()> on_turn = nullptr;
  };

  // Runs one command, which may be anything a client sent, and returns the response, which lies in `buffer`.
  ByteView process(std::span<uint8_t> command, ResponseBuffer& buffer, const CommandOptions& command_options);

  // The same for a short command (CommandNature) whose turn is now; otherwise nullopt, and nothing has been
  // done.
  std::optional<ByteView> process_if_short(std::span<uint8_t> command, ResponseBuffer& buffer,
                                           const CommandOptions& command_options);

  // Cancels the running command, if any. Does not wait for its end.
  TpmResult cancel();

  TpmResult set_locality(uint8_t locality);

  TpmResult get_established(uint8_t& bit);
  TpmResult reset_established(uint8_t locality);
  TpmResult hash_start();
  TpmResult hash_data(ByteView data);
  TpmResult hash_end();

  TpmResult store_volatile();
  TpmResult get_state_blob(uint32_t type, bool decrypted, Bytes& out, bool& is_encrypted);
  TpmResult set_state_blob(uint32_t type, bool marked_encrypted, ByteView blob);

  struct BufferSizes {
    uint32_t current, min, max;
  };
  // 0: only ask. kTpmBadOrdinal: not while running.
  TpmResult set_buffer_size(uint32_t wanted, BufferSizes& sizes);

  // A JSON text.
  std::string info(uint64_t flags);

 private:
  friend struct Callbacks;  // serve libtpms in tpm.cc

  template <typename Verb>
  TpmResult change(Verb verb);
  void power_off();
  TpmResult restore(const Heritage::Saved& saved);
  void stir_random();
  void send_shutdown_if_due();
  ByteView process_in_turn(std::span<uint8_t> command, CommandEffect effect, ResponseBuffer& buffer,
                           const CommandOptions& command_options);
  ByteView run(std::span<uint8_t> command, ResponseBuffer& buffer);
  ByteView run_safely(std::span<uint8_t> command, CommandEffect effect, ResponseBuffer& buffer);
  ByteView run_cancellably(std::span<uint8_t> command, ResponseBuffer& buffer);
  ByteView roll_back(ResponseBuffer& buffer, TpmResult code);
  void take_down();
  uint8_t effective_locality() const;

  NvState& state_;
  Heritage& heritage_;
  Options options_;
  std::string profile_;

  std::mutex mutex_;  // held while libtpms is at work, except by cancel
  std::atomic<bool> running_{false};
  bool shutdown_due_ = false;
  bool handed_over_ = false;
  uint64_t permanent_number_ = 0;  // of the permanent state in the heritage
  std::optional<uint8_t> locality_override_;

  RunningCommand running_command_;
  bool cut_short_ = false;  // the last command; what it has done must not be seen
};

}  // namespace swtpm
