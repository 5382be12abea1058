#include "state/linear_store.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <vector>

#include "common/eintr.h"
#include "common/file_status.h"
#include "common/log.h"
#include "common/reason.h"
#include "common/write_all.h"

namespace swtpm {
namespace {

constexpr uint64_t kMagic = 0x737774706d6c696e;  // "swtpmlin"
constexpr uint8_t kVersion = 1;
constexpr size_t kHeaderSizeBytes = 192;
// Where blobs begin: a disk sector is written as a whole, so none of it should belong to two blobs.
constexpr uint32_t kSectorSizeBytes = 512;

struct [[gnu::packed]] PackedSlot {
  uint32_t offset, data_size, section_size;
};
struct [[gnu::packed]] PackedHeader {
  uint64_t magic;
  uint8_t version;
  uint8_t pad;
  uint16_t header_size;
  PackedSlot slots[15];
};
static_assert(sizeof(PackedHeader) == kHeaderSizeBytes);

bool read_all(int fd, void* data, size_t size, uint64_t offset) {
  auto* p = static_cast<uint8_t*>(data);
  while (size > 0) {
    ssize_t n = no_eintr([&] { return ::pread(fd, p, size, static_cast<off_t>(offset)); });
    if (n == 0) errno = ENODATA;
    if (n <= 0) return false;
    p += n;
    size -= static_cast<size_t>(n);
    offset += static_cast<uint64_t>(n);
  }
  return true;
}

}  // namespace

std::unique_ptr<LinearStore> LinearStore::open(int fd, const Options& options) {
  struct stat st;
  if (!file_status(fd, st) || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))) {
    log(LogLevel::kError, "Cannot use the linear state: it is neither a regular file nor a block device");
    return nullptr;
  }
  std::unique_ptr<LinearStore> store(new LinearStore(fd, options));
  if (S_ISBLK(st.st_mode)) {
    off_t end = ::lseek(fd, 0, SEEK_END);
    if (end < static_cast<off_t>(kHeaderSizeBytes)) {
      log(LogLevel::kError, "Cannot use the linear state: the block device is too small");
      return nullptr;
    }
    store->device_size_ = static_cast<uint64_t>(end);
  }
  if (!store->read_header()) return nullptr;
  // Only now: the path may lead to a file that is no TPM's, and its mode is not ours to change.
  if (S_ISREG(st.st_mode) && options.mode_given && ::fchmod(fd, options.mode) < 0)
    log(LogLevel::kDebug, "Cannot change the mode of the linear state: %s", reason_of(errno).text);
  return store;
}

uint64_t LinearStore::size() const {
  if (device_size_ > 0) return device_size_;
  struct stat st;
  return file_status(fd_, st) ? static_cast<uint64_t>(st.st_size) : 0;
}

bool LinearStore::read_header() {
  uint64_t present = std::min<uint64_t>(size(), kHeaderSizeBytes);
  PackedHeader header{};
  if (!read_all(fd_, &header, present, 0)) {
    log(LogLevel::kError, "Cannot read the linear state: %s", reason_of(errno).text);
    return false;
  }
  bool looks_right = header.version == kVersion && le16toh(header.header_size) == kHeaderSizeBytes;
  if (present < kHeaderSizeBytes || le64toh(header.magic) != kMagic) {
    auto* bytes = reinterpret_cast<const uint8_t*>(&header);
    if (std::all_of(bytes, bytes + sizeof(header), [](uint8_t byte) { return byte == 0; })) return true;
    // A block device may hold remains of its former use, and they may be overwritten. But if the rest of the
    // header is right, this is a TPM with a damaged magic number; and a regular file that is not empty is
    // either that or no TPM's: neither may be overwritten.
    if (device_size_ > 0 && !looks_right) return true;
    log(LogLevel::kError, "Cannot use the linear state: it is no TPM's, or damaged");
    return false;
  }
  if (!looks_right) {
    log(LogLevel::kError,
        "Cannot use the linear state: version %u with a header of %u bytes is not supported", header.version,
        le16toh(header.header_size));
    return false;
  }
  for (size_t i = 0; i < kSlotCount; i++)
    slots_[i] = {le32toh(header.slots[i].offset), le32toh(header.slots[i].data_size),
                 le32toh(header.slots[i].section_size)};
  if (check_slots()) return true;
  log(LogLevel::kError, "Cannot use the linear state: its slots are damaged");
  return false;
}

bool LinearStore::check_slots() const {
  uint64_t end = size();
  for (const Slot& slot : slots_) {
    if (slot.offset == 0) {
      // Unused. Removing a blob clears its sizes, too.
      if (slot.data_size != 0 || slot.section_size != 0) return false;
      continue;
    }
    if (slot.offset < kHeaderSizeBytes || slot.data_size > slot.section_size) return false;
    if (slot.data_size > wire::kMaxStateFileBytes || uint64_t{slot.offset} + slot.data_size > end)
      return false;
    for (const Slot& other : slots_) {
      if (&other == &slot || other.offset == 0) continue;
      if (other.offset >= slot.offset && other.offset < uint64_t{slot.offset} + slot.data_size) return false;
    }
  }
  return true;
}

std::string LinearStore::describe(BlobType type) const {
  return std::string(blob_name(type)) + " of the linear state file";
}

TpmResult LinearStore::peek(BlobType type, uint32_t& size_bytes) {
  const Slot& slot = slots_[slot_number(type)];
  if (slot.offset == 0) return kTpmRetry;
  size_bytes = slot.data_size;
  return kTpmSuccess;
}

TpmResult LinearStore::load(BlobType type, Bytes& out) {
  const Slot& slot = slots_[slot_number(type)];
  if (slot.offset == 0) return kTpmRetry;
  out.resize(slot.data_size);
  if (read_all(fd_, out.data(), out.size(), slot.offset)) return kTpmSuccess;
  log(LogLevel::kError, "Cannot read state \"%s\": %s", describe(type).c_str(), reason_of(errno).text);
  return kTpmFail;
}

// The first place that no blob uses. The present content of the blob to be stored counts as used.
std::optional<uint32_t> LinearStore::find_space(uint32_t wanted_bytes) const {
  struct Extent {
    uint64_t start, end;
  };
  std::vector<Extent> used{{0, kHeaderSizeBytes}};
  for (const Slot& slot : slots_)
    if (slot.offset != 0) used.push_back({slot.offset, uint64_t{slot.offset} + slot.data_size});
  std::sort(used.begin(), used.end(), [](const Extent& a, const Extent& b) { return a.start < b.start; });
  uint64_t limit = device_size_ > 0 ? device_size_ : std::numeric_limits<uint32_t>::max();
  for (size_t i = 0; i < used.size(); i++) {
    uint64_t start = (used[i].end + kSectorSizeBytes - 1) / kSectorSizeBytes * kSectorSizeBytes;
    uint64_t end = i + 1 < used.size() ? used[i + 1].start : limit;
    if (start + wanted_bytes <= end) return static_cast<uint32_t>(start);
  }
  return std::nullopt;
}

void LinearStore::size_sections(Slots& slots) const {
  std::vector<Slot*> used;
  for (Slot& slot : slots)
    if (slot.offset != 0) used.push_back(&slot);
  std::sort(used.begin(), used.end(), [](const Slot* a, const Slot* b) { return a->offset < b->offset; });
  for (size_t i = 0; i < used.size(); i++) {
    if (i + 1 < used.size()) {
      used[i]->section_size = used[i + 1]->offset - used[i]->offset;
      continue;
    }
    uint32_t room = std::bit_ceil(std::max(used[i]->data_size, 1u));
    if (device_size_ > 0)
      room = static_cast<uint32_t>(std::min<uint64_t>(room, device_size_ - used[i]->offset));
    used[i]->section_size = std::max(room, used[i]->data_size);
  }
}

bool LinearStore::sync() const {
  return !options_.sync || no_eintr([&] { return ::fsync(fd_); }) == 0;
}

// Writes `slots` to the header on the disk, then to slots_.
bool LinearStore::commit(Slots slots) {
  size_sections(slots);
  uint64_t end = kHeaderSizeBytes;
  PackedHeader header{htole64(kMagic), kVersion, 0, htole16(kHeaderSizeBytes), {}};
  for (size_t i = 0; i < kSlotCount; i++) {
    header.slots[i] = {htole32(slots[i].offset), htole32(slots[i].data_size), htole32(slots[i].section_size)};
    end = std::max(end, uint64_t{slots[i].offset} + slots[i].section_size);
  }
  // Other implementations expect the file to contain whole sections.
  if (device_size_ == 0 && size() < end &&
      no_eintr([&] { return ::ftruncate(fd_, static_cast<off_t>(end)); }) < 0)
    return false;
  if (!sync()) return false;
  // From here until the second sync the disk may have either header.
  header_doubtful_ = true;
  if (!write_all_at(fd_, {reinterpret_cast<const uint8_t*>(&header), sizeof(header)}, 0) || !sync())
    return false;
  header_doubtful_ = false;
  slots_ = slots;
  return true;
}

// A header whose write or sync failed may have reached the disk all the same. It points to space that the
// valid header calls free, so the valid header is written again before that space is used.
bool LinearStore::rewrite_doubtful_header() {
  return !header_doubtful_ || commit(slots_);
}

TpmResult LinearStore::store(BlobType type, ByteView data) {
  if (!rewrite_doubtful_header()) {
    log(LogLevel::kError, "Cannot write the header of the linear state: %s", reason_of(errno).text);
    return kTpmFail;
  }
  uint32_t data_size = static_cast<uint32_t>(data.size());
  Slots slots = slots_;
  Slot& slot = slots[slot_number(type)];
  auto offset = find_space(data_size);
  if (!offset && slot.offset != 0 && data_size <= slot.section_size) {
    if (!warned_)
      log(LogLevel::kWarning, "The state device has no room for two copies; a power failure may damage it");
    warned_ = true;
    offset = slot.offset;
  }
  if (!offset) {
    log(LogLevel::kError, "Cannot store %u bytes of state: the device is full", data_size);
    return kTpmFail;
  }
  slot.offset = *offset;
  slot.data_size = data_size;
  if (write_all_at(fd_, data, *offset) && commit(slots)) return kTpmSuccess;
  log(LogLevel::kError, "Cannot store state \"%s\": %s", describe(type).c_str(), reason_of(errno).text);
  return kTpmFail;
}

TpmResult LinearStore::erase(BlobType type, bool must_exist) {
  Slots slots = slots_;
  Slot& slot = slots[slot_number(type)];
  if (slot.offset == 0) return must_exist ? kTpmFail : kTpmSuccess;
  slot = {};
  if (commit(slots)) return kTpmSuccess;
  log(LogLevel::kError, "Cannot remove state \"%s\": %s", describe(type).c_str(), reason_of(errno).text);
  return kTpmFail;
}

}  // namespace swtpm
