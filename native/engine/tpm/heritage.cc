#include "engine/tpm/heritage.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "common/log.h"

namespace swtpm {
namespace {

constexpr uint64_t kMagic = 0x6567617469726568;  // "heritage"
constexpr uint32_t kVersion = 2;
constexpr size_t kMaxKeyBytes = 32;
constexpr size_t kMaxCommandsBytes = 16 * 1024;
constexpr size_t kMaxVolatileBytes = 256 * 1024;
constexpr size_t kMaxPermanentBytes = 512 * 1024;
constexpr size_t kCommandHeadBytes = 5;  // u8 locality, u32 length, big-endian

struct KeyBox {
  uint32_t length;
  uint8_t bytes[kMaxKeyBytes];
};

template <size_t N>
struct Box {
  uint32_t length;
  uint8_t bytes[N];

  bool put(ByteView data) {
    if (data.size() > N) return false;
    memcpy(bytes, data.data(), data.size());
    length = static_cast<uint32_t>(data.size());
    return true;
  }
  ByteView view() const { return {bytes, std::min<size_t>(length, N)}; }
};

}  // namespace

// What is in force is one word, so that it changes at once. All else is written where that word does not
// point.
struct Heritage::State {
  uint32_t permanent : 1;  // which of the two boxes
  uint32_t volatile_ : 1;
  uint32_t running : 1;
  uint32_t shutdown_due : 1;
  uint32_t lost : 1;
  uint32_t unused : 27;
  uint32_t commands_bytes;
};

struct Heritage::Layout {
  uint64_t magic;
  uint32_t version;
  uint32_t reserved;
  Desk desk;

  std::atomic<uint64_t> state;
  std::atomic<uint32_t> buffer_size;
  std::atomic<uint8_t> locality;
  KeyBox keys[2];
  uint8_t commands[kMaxCommandsBytes];
  Box<kMaxVolatileBytes> volatile_states[2];
  Box<kMaxPermanentBytes> permanent_states[2];

  static_assert(sizeof(State) == sizeof(uint64_t));
};

void Desk::clear() {
  in_flight = open = current_opcode = unread_offset = unread_end = 0;
  // A message or request of length 0 is none.
  memset(message.data(), 0, kPrefixSizeBytes);
  for (auto& request : fuse_requests) memset(request.data(), 0, sizeof(fuse_in_header));
}

Heritage::Heritage(int fd) {
  static_assert(offsetof(Layout, desk.last_unique) == 16);
  static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free);
  struct stat info {};
  bool given = ::fstat(fd, &info) == 0;
  if (given && static_cast<size_t>(info.st_size) < sizeof(Layout)) {
    log(LogLevel::kError, "Cannot use %lld bytes of memory as heritage: %zu are needed",
        static_cast<long long>(info.st_size), sizeof(Layout));
    given = false;
  }
  void* memory = MAP_FAILED;
  if (given) memory = ::mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (given) ::close(fd);
  if (memory == MAP_FAILED) {
    if (given) log(LogLevel::kError, "Cannot map the heritage: %s", strerror(errno));
    memory = ::mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) abort();
  }
  // Only what is used becomes resident; that much is locked where the limit allows.
  ::madvise(memory, sizeof(Layout), MADV_DONTDUMP);
  ::mlock2(memory, sizeof(Layout), MLOCK_ONFAULT);
  layout_ = static_cast<Layout*>(memory);
  if (layout_->magic == 0) {
    layout_->magic = kMagic;
    layout_->version = kVersion;
  }
}

Desk& Heritage::desk() {
  return layout_->desk;
}

Heritage::State Heritage::state() const {
  uint64_t word = layout_->state.load(std::memory_order_acquire);
  State state;
  memcpy(&state, &word, sizeof(state));
  return state;
}

void Heritage::commit(const State& state) {
  uint64_t word;
  memcpy(&word, &state, sizeof(word));
  layout_->state.store(word, std::memory_order_release);
}

bool Heritage::load(Saved& saved) const {
  if (layout_->magic != kMagic || layout_->version != kVersion) return false;
  State now = state();
  if (now.lost) return false;
  saved.running = now.running;
  saved.shutdown_due = now.shutdown_due;
  saved.permanent_state = layout_->permanent_states[now.permanent].view();
  saved.volatile_state = layout_->volatile_states[now.volatile_].view();
  saved.commands.clear();
  ByteReader commands({layout_->commands, std::min<size_t>(now.commands_bytes, kMaxCommandsBytes)});
  while (commands.remaining() > 0) {
    uint8_t locality = commands.u8();
    uint32_t length = commands.u32();
    ByteView bytes = commands.bytes(length);
    if (commands.failed()) return false;
    saved.commands.push_back({locality, Bytes(bytes.begin(), bytes.end())});
  }
  return true;
}

bool Heritage::has_running() const {
  State now = state();
  return now.running && !now.lost;
}

void Heritage::save(ByteView volatile_state, const Bytes* permanent_state, bool shutdown_due) {
  State next = state();
  next.running = 1;
  next.shutdown_due = shutdown_due;
  next.commands_bytes = 0;
  next.volatile_ ^= 1;
  if (permanent_state) next.permanent ^= 1;
  next.lost = !layout_->volatile_states[next.volatile_].put(volatile_state) ||
              (permanent_state && !layout_->permanent_states[next.permanent].put(*permanent_state));
  commit(next);
}

bool Heritage::stage(ByteView command, uint8_t locality) {
  State now = state();
  if (!now.running || now.lost) return false;
  size_t start = now.commands_bytes;
  if (start + kCommandHeadBytes + command.size() > kMaxCommandsBytes) return false;
  uint8_t* entry = layout_->commands + start;
  entry[0] = locality;
  store_be32(entry + 1, static_cast<uint32_t>(command.size()));
  memcpy(entry + kCommandHeadBytes, command.data(), command.size());
  return true;
}

void Heritage::keep_staged(bool shutdown_due) {
  State next = state();
  const uint8_t* entry = layout_->commands + next.commands_bytes;
  next.commands_bytes += static_cast<uint32_t>(kCommandHeadBytes) + load_be32(entry + 1);
  next.shutdown_due = shutdown_due;
  commit(next);
}

void Heritage::set_off() {
  State next = state();
  // Blobs for the next start are not forgotten because it has begun.
  next.lost = next.lost && !next.running;
  next.running = next.shutdown_due = 0;
  next.commands_bytes = 0;
  commit(next);
}

void Heritage::set_lost() {
  State next = state();
  next.lost = 1;
  commit(next);
}

void Heritage::set_key(KeySlot slot, ByteView key) {
  KeyBox& box = layout_->keys[static_cast<size_t>(slot)];
  if (key.size() > sizeof(box.bytes)) return;
  memcpy(box.bytes, key.data(), key.size());
  box.length = static_cast<uint32_t>(key.size());
}

ByteView Heritage::key(KeySlot slot) const {
  const KeyBox& box = layout_->keys[static_cast<size_t>(slot)];
  return {box.bytes, std::min<size_t>(box.length, sizeof(box.bytes))};
}

void Heritage::set_buffer_size(uint32_t bytes) {
  layout_->buffer_size = bytes;
}

uint32_t Heritage::buffer_size() const {
  return layout_->buffer_size;
}

void Heritage::set_locality(uint8_t locality) {
  layout_->locality.store(locality, std::memory_order_relaxed);
}

uint8_t Heritage::locality() const {
  return layout_->locality.load(std::memory_order_relaxed);
}

}  // namespace swtpm
