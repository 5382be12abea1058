#include "engine/shared_state.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <new>
#include <type_traits>

#include "common/log.h"
#include "common/reason.h"

namespace swtpm {
namespace {

// Both mark the layout below. Another layout needs another version: an older engine may have written the
// memory, and a newer one may continue it.
constexpr uint64_t kMagic = 0x6567617469726568;
constexpr uint32_t kVersion = 2;

void* map(int fd, size_t size_bytes) {
  struct stat info {};
  if (::fstat(fd, &info) < 0) return MAP_FAILED;  // none was given
  void* memory = MAP_FAILED;
  if (static_cast<size_t>(info.st_size) < size_bytes) {
    log(LogLevel::kError, "Cannot use %lld bytes of memory as shared state: %zu are needed",
        static_cast<long long>(info.st_size), size_bytes);
  } else {
    memory = ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) log(LogLevel::kError, "Cannot map the shared state: %s", reason_of(errno).text);
  }
  ::close(fd);
  return memory;
}

}  // namespace

struct SharedState::Layout {
  uint64_t magic;
  uint32_t version;
  uint32_t reserved;
  DeviceState device;
  CheckpointMemory checkpoint;
  // Behind what version 2 had first: older engines left it zero.
  insecure_seed::Position seed;
  ManagedDeviceState managed_device;
  spaces::GuestSessions guest_sessions;
};

SharedState::SharedState(int fd) {
  // Objects without constructors, all of them: they exist, with the bytes that are there, as soon as the
  // memory is mapped, whether it is new or an earlier engine's. A constructor would have to run for each
  // engine, and would destroy what it finds.
  static_assert(std::is_trivial_v<Layout> && std::is_standard_layout_v<Layout>);
  static_assert(offsetof(Layout, device.last_unique) == wire::kSharedStateLastUniqueOffset);
  static_assert(offsetof(Layout, checkpoint) == 278584 && sizeof(Layout) == 1876408 &&
                    sizeof(Layout) <= wire::kSharedStateSizeBytes,
                "version 2 has these offsets and sizes");

  void* memory = map(fd, sizeof(Layout));
  if (memory == MAP_FAILED)
    memory = ::mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) abort();
  // Only what is used becomes resident; that much is locked where the limit allows.
  ::madvise(memory, sizeof(Layout), MADV_DONTDUMP);
  ::mlock2(memory, sizeof(Layout), MLOCK_ONFAULT);
  layout_ = std::launder(static_cast<Layout*>(memory));
  if (layout_->magic == 0) {
    layout_->magic = kMagic;
    layout_->version = kVersion;
  }
}

bool SharedState::usable() const {
  return layout_->magic == kMagic && layout_->version == kVersion;
}

DeviceState& SharedState::device() {
  return layout_->device;
}

CheckpointMemory& SharedState::checkpoint() {
  return layout_->checkpoint;
}

ManagedDeviceState& SharedState::managed_device() {
  return layout_->managed_device;
}

spaces::GuestSessions& SharedState::guest_sessions() {
  return layout_->guest_sessions;
}

insecure_seed::Position& SharedState::seed() {
  return layout_->seed;
}

}  // namespace swtpm
