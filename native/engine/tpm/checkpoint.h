// The TPM's part of the shared state: what a new engine restores, and what a failed command is rolled back
// to. An engine that is killed at any moment leaves the TPM as it was after the last command that it
// answered, or after the one before; an engine that hands over leaves everything.
// docs/design/0005-succession.md says what is kept how.
//
// One thread at a time, under the Tpm's mutex; the locality alone may be read and set by any.
#pragma once

#include <array>
#include <vector>

#include "common/bytes.h"
#include "common/shared_atomic.h"
#include "generated/contract.h"

namespace swtpm {

// A length and as many bytes.
template <size_t capacity_bytes>
struct CheckpointBox {
  uint32_t length;
  uint8_t bytes[capacity_bytes];
};

// The checkpoint in the shared state. Plain data: mapping the memory is enough for it to exist.
struct CheckpointMemory {
  static constexpr size_t kCommandsBytes = 16 * 1024;

  // What is valid is one word, so that it changes at once: Checkpoint::Valid. Everything else is written
  // where that word does not point.
  SharedAtomic<uint64_t> valid;
  SharedAtomic<uint32_t> buffer_size;
  SharedAtomic<uint8_t> locality;
  CheckpointBox<wire::kMaxKeyBytes> keys[2];
  uint8_t commands[kCommandsBytes];
  CheckpointBox<wire::kMaxCheckpointVolatileBytes> volatile_states[2];
  CheckpointBox<wire::kMaxCheckpointPermanentBytes> permanent_states[2];
};

class Checkpoint {
 public:
  // usable: false for memory of another layout; there is nothing to restore then.
  Checkpoint(CheckpointMemory& memory, bool usable) : memory_(memory), usable_(usable) {}
  Checkpoint(const Checkpoint&) = delete;
  Checkpoint& operator=(const Checkpoint&) = delete;

  // A command to be executed again on the saved state, at this locality.
  struct Command {
    uint8_t locality;
    Bytes bytes;
  };
  struct Saved {
    bool running;
    bool shutdown_due;
    ByteView permanent_state;
    ByteView volatile_state;
    std::vector<Command> commands;
  };

  // New memory has a TPM that is off. False: there is nothing to restore: memory of another layout, a TPM
  // whose state could not be saved, or one that was given state blobs for its next start.
  bool load(Saved& saved) const;
  // Whether a TPM that runs can be rolled back.
  bool has_running() const;

  // The TPM runs, and this is its state; `permanent_state` if it has changed since the last call that
  // returned true. False: the state is too large, and the checkpoint is incomplete (logged, once until a
  // state fits again).
  bool save(ByteView volatile_state, const Bytes* permanent_state, bool shutdown_due);

  // Instead of a whole new state: this command on the one before. First staged, and valid when kept. False:
  // there is no room, or nothing to build on.
  bool stage(ByteView command, uint8_t locality);
  void keep_staged(bool shutdown_due);

  void set_off();
  // The TPM has something that is not here: another engine cannot continue it.
  void set_incomplete();

  void set_key(KeySlot slot, ByteView key);
  ByteView key(KeySlot slot) const;
  void set_buffer_size(uint32_t bytes);
  uint32_t buffer_size() const;
  void set_locality(uint8_t locality);
  uint8_t locality() const;

 private:
  struct Valid;

  Valid valid() const;
  void commit(const Valid& valid);
  void report_size(size_t volatile_bytes, size_t permanent_bytes, bool fits);

  CheckpointMemory& memory_;
  const bool usable_;
  bool too_large_ = false;
  // Where the staged command ends. Not read from the memory, which another engine has had.
  uint32_t staged_end_ = 0;
};

}  // namespace swtpm
