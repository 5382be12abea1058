// The TPM as those see it who bring it commands. The front ends reach it through this interface alone.
#pragma once

#include <functional>
#include <optional>
#include <span>

#include "common/bytes.h"
#include "engine/tpm/message.h"
#include "engine/tpm/refusals.h"
#include "engine/tpm/surrounding.h"

namespace swtpm {

class CommandProcessor {
 public:
  struct CommandOptions {
    // The response code to a command that is shorter than a header; front ends have always differed in it.
    TpmResult short_code;
    // The supervisor's own command: it knows why it is refused, and no client waits for it.
    bool own = false;
    // Of such a command the supervisor needs no events TRACE: it writes its trace itself.
    bool untold = false;
    // For this command alone; otherwise the current locality.
    std::optional<uint8_t> locality = std::nullopt;
    // Called when the command's turn has come: verbs from now on take effect after it. It runs with the TPM's
    // mutex held, and must not wait for anything.
    std::function<void()> on_turn = nullptr;
    // What is done around it, in its turn.
    Surrounding* around = nullptr;
  };

  virtual TpmVersion version() const = 0;
  virtual bool running() const = 0;

  // Runs one command, which may be anything a client sent, and returns the response, which lies in `buffer`.
  virtual ByteView process(std::span<uint8_t> command, ResponseBuffer& buffer,
                           const CommandOptions& options) = 0;

  // The same for a short command (CommandNature) whose turn is now; otherwise nullopt, and nothing has been
  // done.
  virtual std::optional<ByteView> process_if_short(std::span<uint8_t> command, ResponseBuffer& buffer,
                                                   const CommandOptions& options) = 0;

  // Cancels the command that has this around it, if it runs now. Does not wait for its end.
  virtual void cancel_surrounded(const Surrounding& around) = 0;

  // That a command has which says nothing else. Does not wait.
  virtual uint8_t locality() const = 0;
  // Whether a client may choose this locality for a command of its own. Does not wait.
  virtual bool permits_locality(uint8_t locality) const = 0;

  // For answers that are given before a command gets here.
  virtual Refusals& refusals() = 0;

 protected:
  ~CommandProcessor() = default;
};

}  // namespace swtpm
