// What an engine leaves to the one that comes after it: memory that the supervisor keeps while engines come
// and go. An engine that is killed at any point leaves a TPM as it was after the last command that it
// answered, or after the one before; one that hands over in order leaves all. docs/design/0005-succession.md
// has the layout and says what is kept how.
//
// One thread at a time writes the TPM's part (under the Tpm's lock) and the device's (the loop's).
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "common/bytes.h"
#include "common/tpm_result.h"
#include "engine/tpm/message.h"

namespace swtpm {

// The attached device as its clients see it. What read() brings is put here, too: an engine that is killed in
// read() may have been given something that it never comes to look at.
struct Desk {
  // TCG's optional prefix of TPM 2.0 commands: u32 8, u8 locality, u32 length.
  static constexpr size_t kPrefixSizeBytes = 9;
  // The 64 KiB that CUSE_INIT offers as max_write, with room for the headers, twice over.
  static constexpr size_t kFuseRequestBytes = 132 * 1024;

  std::atomic<uint64_t>
      last_unique;  // CUSE: the last request that was read; at offset 16, the supervisor reads it
  std::atomic<uint32_t> in_flight;       // a command has been read and not been answered
  std::atomic<uint32_t> open;            // CUSE: a client has the device open
  std::atomic<uint32_t> current_opcode;  // CUSE: what is being settled
  std::atomic<uint32_t> unread_offset;   // CUSE: what is left of the last response
  std::atomic<uint32_t> unread_end;
  uint8_t response[kTpmBufferSizeBytes];
  std::array<uint8_t, kPrefixSizeBytes + kTpmBufferSizeBytes> message;  // not CUSE
  std::array<uint8_t, kFuseRequestBytes> fuse_requests[2];              // one for each thread

  void clear();
};

class Heritage {
 public:
  // Maps `fd`, and closes it. Without one, or if it cannot be mapped (logged), the memory is our own and
  // nobody's heritage.
  explicit Heritage(int fd);
  Heritage(const Heritage&) = delete;
  Heritage& operator=(const Heritage&) = delete;

  Desk& desk();

  // ---- The TPM. A new file has one that is off.

  struct Command {
    uint8_t locality;
    Bytes bytes;
  };
  struct Saved {
    bool running;
    bool shutdown_due;
    ByteView permanent_state;
    ByteView volatile_state;
    std::vector<Command> commands;  // to be repeated on that state
  };

  // False: there is nothing to go on with: another layout, or a TPM whose state could not be taken down, or
  // that has been given state blobs for its next start.
  bool load(Saved& saved) const;
  // Whether a TPM that runs can be set back to what is kept.
  bool has_running() const;

  // The TPM runs, and this is its state; `permanent_state` if it is another than before.
  void save(ByteView volatile_state, const Bytes* permanent_state, bool shutdown_due);
  // Instead of a whole new state: this command on the one before. First staged, and in force when kept.
  // False: there is no room, or nothing to build on.
  bool stage(ByteView command, uint8_t locality);
  void keep_staged(bool shutdown_due);

  void set_off();
  void set_lost();

  // ---- What else belongs to it.

  void set_key(KeySlot slot, ByteView key);
  ByteView key(KeySlot slot) const;
  void set_buffer_size(uint32_t bytes);
  uint32_t buffer_size() const;
  void set_locality(uint8_t locality);
  uint8_t locality() const;

 private:
  struct Layout;
  struct State;

  State state() const;
  void commit(const State& state);

  Layout* layout_;
};

}  // namespace swtpm
