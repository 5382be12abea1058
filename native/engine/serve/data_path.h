// A data command's way from any front end to the TPM: past the storage gate, then to the TPM, and where the
// user wants a trace a copy of it and of its response to the supervisor.
#pragma once

#include <time.h>

#include <optional>

#include "engine/channel/channel.h"
#include "engine/serve/storage_gate.h"
#include "engine/tpm/command_processor.h"

namespace swtpm {

class DataPath {
 public:
  // tracer: gets every command and response; null for no trace.
  DataPath(CommandProcessor& tpm, StorageGate& gate, Channel* tracer)
      : tpm_(tpm), gate_(gate), tracer_(tracer) {}

  TpmVersion version() const { return tpm_.version(); }

  // Always yields a well-formed response; it lies in `buffer`.
  ByteView run(std::span<uint8_t> command, ResponseBuffer& buffer,
               const CommandProcessor::CommandOptions& options) {
    if (tracer_) trace(kCommand, command);
    ByteView response = execute(command, buffer, options);
    if (tracer_) trace(kResponse, response);
    return response;
  }

  // The same for a command that takes a moment only, if it need not wait for anything; otherwise nullopt, and
  // nothing has been done.
  std::optional<ByteView> run_if_short(std::span<uint8_t> command, ResponseBuffer& buffer,
                                       const CommandProcessor::CommandOptions& options) {
    if (tracer_ || !gate_.locked()) return std::nullopt;
    return tpm_.process_if_short(command, buffer, options);
  }

  TpmResult set_locality(uint8_t locality) { return tpm_.set_locality(locality); }

  Refusals& refusals() { return tpm_.refusals(); }

 private:
  enum Direction : uint32_t { kCommand = 0, kResponse = 1 };

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

  // For the tracer: u32 direction, u64 time in µs since 1970, the bytes.
  void trace(Direction direction, ByteView bytes) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    Bytes payload(12);
    store_be32(payload.data(), direction);
    auto time_us = static_cast<uint64_t>(now.tv_sec) * 1000000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
    store_be64(payload.data() + 4, time_us);
    payload.insert(payload.end(), bytes.begin(), bytes.end());
    tracer_->event(wire::Event::kTrace, payload);
  }

  CommandProcessor& tpm_;
  StorageGate& gate_;
  Channel* tracer_;
};

}  // namespace swtpm
