// Keeps all blobs in one file or block device, in the layout of swtpm's `file://` backend (little-endian,
// packed):
//
//   0                8         9     10            12
//   +----------------+---------+-----+-------------+----------------------------------------------+
//   | magic          | version | pad | header size | 15 slots of u32 offset, data size, section   |
//   |                |    1    |     |     192     | size; slot 0 permall, 1 volatile, 2 savestate |
//   +----------------+---------+-----+-------------+----------------------------------------------+
//
// New content never overwrites live content: it is written to free space and synced, and then the header,
// which fits in one disk sector, is replaced. A section reaches to the next one, because other
// implementations move sections and assume that there are no gaps; so free space between blobs belongs to the
// section before it.
#pragma once

#include <sys/types.h>

#include <array>
#include <memory>
#include <optional>

#include "state/store.h"

namespace swtpm {

class LinearStore : public Store {
 public:
  struct Options {
    mode_t mode = 0640;
    bool mode_given = false;
    bool sync = true;
  };

  // Null, after a log line, if `fd` is neither a regular file nor a block device, or if its content is
  // damaged. A new or empty one gets its header at the first store.
  static std::unique_ptr<LinearStore> open(int fd, const Options& options);

  TpmResult load(BlobType type, Bytes& out) override;
  TpmResult store(BlobType type, ByteView data) override;
  TpmResult erase(BlobType type, bool must_exist) override;
  TpmResult peek(BlobType type, uint32_t& size_bytes) override;
  std::string describe(BlobType type) const override;
  std::string how_to_discard_volatile() const override {
    return "replace it by an empty one (swtpm_ioctl --load volatile /dev/null)";
  }

 private:
  static constexpr size_t kSlotCount = 15;

  struct Slot {
    uint32_t offset = 0;  // 0: unused
    uint32_t data_size = 0;
    uint32_t section_size = 0;
  };
  using Slots = std::array<Slot, kSlotCount>;

  LinearStore(int fd, const Options& options) : fd_(fd), options_(options) {}

  bool read_header();
  bool check_slots() const;
  uint64_t size() const;
  std::optional<uint32_t> find_space(uint32_t wanted_bytes) const;
  void size_sections(Slots& slots) const;
  bool commit(Slots slots);
  bool rewrite_doubtful_header();
  bool sync() const;
  static size_t slot_number(BlobType type) { return static_cast<size_t>(type) - 1; }

  int fd_;
  Options options_;
  uint64_t device_size_ = 0;  // of a block device; 0: a regular file, which grows
  Slots slots_;
  bool header_doubtful_ = false;  // the disk may have another header than slots_
  bool warned_ = false;           // that there is no room for two copies
};

}  // namespace swtpm
