// A data command's way from any front end to the TPM: past the interceptor, where a script is at work, past
// the storage gate, then to the TPM, and where the user wants a trace a copy of it and of its response to the
// supervisor.
#pragma once

#include <mutex>
#include <optional>

#include "engine/channel/tracer.h"
#include "engine/serve/interceptor.h"
#include "engine/serve/storage_gate.h"
#include "engine/tpm/command_processor.h"

namespace swtpm {

class DataPath {
 public:
  // What a client is to get.
  struct Outcome {
    enum class What {
      kResponse,
      kNothing,  // and it may send its next command
      kHangUp,
      kBroken,  // a part of its response has been given, and the rest does not follow
      kError    // `error`, an errno, where it can be given one
    } what = What::kResponse;
    ByteView response{};  // lies in the front end's buffer
    int error = 0;
  };

  // tracer: gets every command and response; null for no trace.
  DataPath(CommandProcessor& tpm, StorageGate& gate, Interceptor& interceptor, Tracer* tracer)
      : tpm_(tpm), gate_(gate), interceptor_(interceptor), tracer_(tracer) {}

  TpmVersion version() const { return tpm_.version(); }

  // A response of the TPM is always well-formed; one that a script has made is what it has made it.
  Outcome run(std::span<uint8_t> command, ResponseBuffer& buffer,
              const CommandProcessor::CommandOptions& options, const Interceptor::Client& client) {
    std::unique_lock<std::mutex> turn;
    if (shared_ && (tracer_ || interceptor_.on())) turn = std::unique_lock(one_at_a_time_);
    if (tracer_) tracer_->command(command, options.locality.value_or(tpm_.locality()));
    Outcome outcome = interceptor_.on() ? run_intercepted(command, buffer, options, client)
                                        : Outcome{.response = execute(command, buffer, options)};
    if (tracer_ && outcome.what == Outcome::What::kResponse) tracer_->response(outcome.response);
    return outcome;
  }

  // The same for a command that takes a moment only, if it need not wait for anything; otherwise nullopt, and
  // nothing has been done.
  std::optional<ByteView> run_if_short(std::span<uint8_t> command, ResponseBuffer& buffer,
                                       const CommandProcessor::CommandOptions& options) {
    if (tracer_ || !gate_.locked() || interceptor_.on()) return std::nullopt;
    return tpm_.process_if_short(command, buffer, options);
  }

  // Has the commands that wait now fail: the device is handed over, or the TPM powered off for good.
  void turn_away() {
    gate_.turn_away();
    interceptor_.turn_away();
  }
  // The client has gone; its command may be at work.
  void client_left(const void* who) { interceptor_.client_left(who); }

  // Several front ends use it at once: what is traced, or decided by a script, then passes one after the
  // other.
  void set_shared() { shared_ = true; }

  void cancel(const Surrounding& around) { tpm_.cancel_surrounded(around); }

  bool permits_locality(uint8_t locality) const { return tpm_.permits_locality(locality); }

  Refusals& refusals() { return tpm_.refusals(); }

 private:
  Outcome run_intercepted(std::span<uint8_t> command, ResponseBuffer& buffer,
                          const CommandProcessor::CommandOptions& options, const Interceptor::Client& client);
  ByteView execute(std::span<uint8_t> command, ResponseBuffer& buffer,
                   const CommandProcessor::CommandOptions& options);

  CommandProcessor& tpm_;
  StorageGate& gate_;
  Interceptor& interceptor_;
  Tracer* tracer_;
  bool shared_ = false;
  std::mutex one_at_a_time_;
};

}  // namespace swtpm
