#include "engine/tpm/checkpoint.h"

#include <algorithm>
#include <cstring>

#include "common/log.h"

namespace swtpm {
namespace {

constexpr size_t kCommandHeadBytes = 5;  // u8 locality, u32 length, big-endian

template <size_t capacity_bytes>
bool put(CheckpointBox<capacity_bytes>& box, ByteView data) {
  if (data.size() > capacity_bytes) return false;
  memcpy(box.bytes, data.data(), data.size());
  box.length = static_cast<uint32_t>(data.size());
  return true;
}

template <size_t capacity_bytes>
ByteView contents(const CheckpointBox<capacity_bytes>& box) {
  return {box.bytes, std::min<size_t>(box.length, capacity_bytes)};
}

}  // namespace

struct Checkpoint::Valid {
  uint32_t permanent : 1;  // which of the two boxes
  uint32_t volatile_ : 1;
  uint32_t running : 1;
  uint32_t shutdown_due : 1;
  uint32_t incomplete : 1;
  uint32_t unused : 27;
  uint32_t commands_bytes;
};

Checkpoint::Valid Checkpoint::valid() const {
  static_assert(sizeof(Valid) == sizeof(uint64_t));
  uint64_t word = memory_.valid.load(std::memory_order_acquire);
  Valid valid;
  memcpy(&valid, &word, sizeof(valid));
  return valid;
}

void Checkpoint::commit(const Valid& valid) {
  uint64_t word;
  memcpy(&word, &valid, sizeof(word));
  memory_.valid.store(word, std::memory_order_release);
}

bool Checkpoint::load(Saved& saved) const {
  if (!usable_) return false;
  Valid now = valid();
  if (now.incomplete) return false;
  saved.running = now.running;
  saved.shutdown_due = now.shutdown_due;
  saved.permanent_state = contents(memory_.permanent_states[now.permanent]);
  saved.volatile_state = contents(memory_.volatile_states[now.volatile_]);
  saved.commands.clear();
  ByteReader commands(
      {memory_.commands, std::min<size_t>(now.commands_bytes, CheckpointMemory::kCommandsBytes)});
  while (commands.remaining() > 0) {
    uint8_t locality = commands.u8();
    uint32_t length = commands.u32();
    ByteView bytes = commands.bytes(length);
    if (commands.failed()) return false;
    saved.commands.push_back({locality, Bytes(bytes.begin(), bytes.end())});
  }
  return true;
}

bool Checkpoint::has_running() const {
  Valid now = valid();
  return now.running && !now.incomplete;
}

bool Checkpoint::save(ByteView volatile_state, const Bytes* permanent_state, bool shutdown_due) {
  Valid next = valid();
  next.running = 1;
  next.shutdown_due = shutdown_due;
  next.commands_bytes = 0;
  next.volatile_ ^= 1;
  if (permanent_state) next.permanent ^= 1;
  bool fits = put(memory_.volatile_states[next.volatile_], volatile_state) &&
              (!permanent_state || put(memory_.permanent_states[next.permanent], *permanent_state));
  next.incomplete = !fits;
  commit(next);
  if (fits == too_large_)
    report_size(volatile_state.size(), permanent_state ? permanent_state->size() : 0, fits);
  return fits;
}

void Checkpoint::report_size(size_t volatile_bytes, size_t permanent_bytes, bool fits) {
  too_large_ = !fits;
  if (fits) return log(LogLevel::kInfo, "The TPM's state can be saved in the shared state again");
  log(LogLevel::kError,
      "Cannot save the TPM's state in the shared state: %zu bytes of volatile and %zu of permanent state, at "
      "most %u and %u fit. If the engine dies or is to be replaced, the TPM ends, and a command that fails "
      "cannot be rolled back",
      volatile_bytes, permanent_bytes, wire::kMaxCheckpointVolatileBytes, wire::kMaxCheckpointPermanentBytes);
}

bool Checkpoint::stage(ByteView command, uint8_t locality) {
  Valid now = valid();
  if (!now.running || now.incomplete) return false;
  size_t start = now.commands_bytes;
  if (start + kCommandHeadBytes + command.size() > CheckpointMemory::kCommandsBytes) return false;
  uint8_t* entry = memory_.commands + start;
  entry[0] = locality;
  store_be32(entry + 1, static_cast<uint32_t>(command.size()));
  memcpy(entry + kCommandHeadBytes, command.data(), command.size());
  staged_end_ = static_cast<uint32_t>(start + kCommandHeadBytes + command.size());
  return true;
}

void Checkpoint::keep_staged(bool shutdown_due) {
  Valid next = valid();
  next.commands_bytes = staged_end_;
  next.shutdown_due = shutdown_due;
  commit(next);
}

void Checkpoint::set_off() {
  Valid next = valid();
  // State blobs for the next start stay where they are when that start begins.
  next.incomplete = next.incomplete && !next.running;
  next.running = next.shutdown_due = 0;
  next.commands_bytes = 0;
  commit(next);
}

void Checkpoint::set_incomplete() {
  Valid next = valid();
  next.incomplete = 1;
  commit(next);
}

void Checkpoint::set_key(KeySlot slot, ByteView key) {
  put(memory_.keys[static_cast<size_t>(slot)], key);
}

ByteView Checkpoint::key(KeySlot slot) const {
  return contents(memory_.keys[static_cast<size_t>(slot)]);
}

void Checkpoint::set_buffer_size(uint32_t bytes) {
  memory_.buffer_size.store(bytes);
}

uint32_t Checkpoint::buffer_size() const {
  return memory_.buffer_size.load();
}

void Checkpoint::set_locality(uint8_t locality) {
  memory_.locality.store(locality, std::memory_order_relaxed);
}

uint8_t Checkpoint::locality() const {
  return memory_.locality.load(std::memory_order_relaxed);
}

}  // namespace swtpm
