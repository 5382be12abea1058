// What is done around a client's command, within its turn: no other command comes between.
#pragma once

#include <functional>

#include "engine/tpm/message.h"

namespace swtpm {

// Has the TPM execute a command that no client has sent. The response lies in `buffer`, and has a header at
// least.
using Execute = std::function<ByteView(std::span<uint8_t> command, ResponseBuffer& buffer)>;

class Surrounding {
 public:
  enum class Entry {
    kRun,      // the command, as it has been changed
    kAnswered  // the response is in the buffer
  };
  // Prepares the TPM. The command has a header at least, and may be anything else.
  virtual Entry enter(const Execute& execute, std::span<uint8_t> command, ResponseBuffer& buffer) = 0;
  // Whether the TPM is another than before enter(), or will be after leave().
  virtual bool changes_tpm() const = 0;
  // Puts the TPM back after the command, whose response is in the buffer and may be changed.
  virtual void leave(const Execute& execute, ResponseBuffer& buffer) = 0;
  // Instead of leave(): the TPM is as it was before enter().
  virtual void undone() = 0;

 protected:
  ~Surrounding() = default;
};

// Clients who have something in the TPM that no other client can use.
class Guests {
 public:
  // The TPM is about to be powered off, saved for a later time or left to another engine: takes out what they
  // have, and forgets it.
  virtual void clear_out(const Execute& execute) = 0;
  // Another engine has had the TPM: takes out what its guests have left.
  virtual void clear_out_others(const Execute& execute) = 0;

 protected:
  ~Guests() = default;
};

}  // namespace swtpm
