// A data command's way from any front end to the TPM: past the storage gate, then to the TPM, and where the
// user wants a trace a copy of it and of its response to the supervisor.
#pragma once

#include <optional>

#include "engine/channel/tracer.h"
#include "engine/serve/storage_gate.h"
#include "engine/tpm/command_processor.h"

namespace swtpm {

class DataPath {
 public:
  // tracer: gets every command and response; null for no trace.
  DataPath(CommandProcessor& tpm, StorageGate& gate, Tracer* tracer)
      : tpm_(tpm), gate_(gate), tracer_(tracer) {}

  TpmVersion version() const { return tpm_.version(); }

  // Always yields a well-formed response; it lies in `buffer`.
  ByteView run(std::span<uint8_t> command, ResponseBuffer& buffer,
               const CommandProcessor::CommandOptions& options) {
    if (tracer_) tracer_->command(command);
    ByteView response = execute(command, buffer, options);
    if (tracer_) tracer_->response(response);
    return response;
  }

  // The same for a command that takes a moment only, if it need not wait for anything; otherwise nullopt, and
  // nothing has been done.
  std::optional<ByteView> run_if_short(std::span<uint8_t> command, ResponseBuffer& buffer,
                                       const CommandProcessor::CommandOptions& options) {
    if (tracer_ || !gate_.locked()) return std::nullopt;
    return tpm_.process_if_short(command, buffer, options);
  }

  bool permits_locality(uint8_t locality) const { return tpm_.permits_locality(locality); }

  Refusals& refusals() { return tpm_.refusals(); }

 private:
  ByteView execute(std::span<uint8_t> command, ResponseBuffer& buffer,
                   const CommandProcessor::CommandOptions& options) {
    // A TPM that is off answers so at once, storage or not.
    if (!tpm_.running() || gate_.locked()) return tpm_.process(command, buffer, options);
    StorageGate::Passage passage = gate_.wait();
    if (passage == StorageGate::Passage::kLocked) return tpm_.process(command, buffer, options);
    if (options.on_turn) options.on_turn();
    auto reason = passage == StorageGate::Passage::kUnlocked ? Refusals::Reason::kStorageUnlocked
                                                             : Refusals::Reason::kTurnedAway;
    return tpm_.refusals().answer(buffer, reason, failure_code(version()));
  }

  CommandProcessor& tpm_;
  StorageGate& gate_;
  Tracer* tracer_;
};

}  // namespace swtpm
