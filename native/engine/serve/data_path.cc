#include "engine/serve/data_path.h"

#include <utility>

namespace swtpm {

ByteView DataPath::execute(std::span<uint8_t> command, ResponseBuffer& buffer,
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

// The command's turn has come as soon as the supervisor is shown it: its client can cancel it from then on.
DataPath::Outcome DataPath::run_intercepted(std::span<uint8_t> command, ResponseBuffer& buffer,
                                            const CommandProcessor::CommandOptions& given,
                                            const Interceptor::Client& client) {
  using What = Outcome::What;
  const uint32_t number = interceptor_.show(command, given.locality.value_or(tpm_.locality()), client.who);
  CommandProcessor::CommandOptions options = given;
  if (auto on_turn = std::exchange(options.on_turn, nullptr)) on_turn();
  bool begun = false;  // a part of the response has been given
  while (true) {
    Interceptor::Order order = interceptor_.wait(number, client);
    if (order.what == Interceptor::Order::What::kClientGone) return {.what = What::kNothing};
    // Behind a part, a response of its own would be taken for the rest.
    if (order.what == Interceptor::Order::What::kTurnedAway && begun) return {.what = What::kBroken};
    if (order.what == Interceptor::Order::What::kTurnedAway)
      return {.response =
                  tpm_.refusals().answer(buffer, Refusals::Reason::kHeldByScript, canceled_code(version()))};
    switch (order.verdict) {
      case wire::Verdict::kPass:
        return {.response = execute(command, buffer, options)};
      case wire::Verdict::kRun: {
        // The first bytes are needed again, should the script run the command twice.
        Bytes copy = order.bytes.empty() ? Bytes(command.begin(), command.end()) : std::move(order.bytes);
        interceptor_.executed(number, execute(copy, buffer, options));
        break;
      }
      case wire::Verdict::kAnswer:
        return {.response = buffer.assign(order.bytes)};
      case wire::Verdict::kPart:
        client.send_part(order.bytes);
        begun = true;
        break;
      case wire::Verdict::kSilence:
        return {.what = What::kNothing};
      case wire::Verdict::kHangUp:
        return {.what = What::kHangUp};
      case wire::Verdict::kErrno:
        return {.what = What::kError, .error = order.error};
    }
  }
}

}  // namespace swtpm
