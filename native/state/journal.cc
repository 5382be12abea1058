#include "state/journal.h"

#include <errno.h>
#include <string.h>

#include <algorithm>

#include "common/write_all.h"

namespace swtpm {
namespace {

constexpr uint8_t kMagic[] = {'s', 'w', 't', 'p', 'm', 'j', 'r', 'n'};
constexpr size_t kChecksumAt = wire::kJournalChecksumAt;
constexpr size_t kCheckedFrom = wire::kJournalCheckedFrom;
constexpr size_t kHeaderSizeBytes = wire::kJournalHeaderBytes;
constexpr size_t kSmallestSlotBytes = wire::kJournalSmallestSlotBytes;
constexpr size_t kPageSizeBytes = 4096;

struct Entry {
  uint64_t number;
  ByteView base, blob;
};

bool read_slot(ByteView slot, Entry& entry) {
  if (slot.size() < kHeaderSizeBytes || memcmp(slot.data(), kMagic, sizeof(kMagic)) != 0) return false;
  ByteReader reader(slot.subspan(kCheckedFrom));
  entry.number = reader.u64();
  entry.base = reader.bytes(sizeof(Journal::Digest));
  uint32_t length = reader.u32();
  reader.skip(4);
  entry.blob = reader.bytes(length);
  if (reader.failed()) return false;
  auto checked = slot.subspan(kCheckedFrom, kHeaderSizeBytes - kCheckedFrom + length);
  return memcmp(Journal::digest_of(checked).data(), &slot[kChecksumAt], sizeof(Journal::Digest)) == 0;
}

bool is_zero(ByteView data) {
  return std::all_of(data.begin(), data.end(), [](uint8_t byte) { return byte == 0; });
}

}  // namespace

Journal::Digest Journal::digest_of(ByteView data) {
  Digest digest;
  EVP_Digest(data.data(), data.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  return digest;
}

// Twice what is needed now: keys and NV indices are added one by one.
size_t Journal::file_size_for(size_t blob_size_bytes) {
  size_t wanted = std::max(kSmallestSlotBytes, 2 * blob_size_bytes + kHeaderSizeBytes);
  return 2 * ((wanted + kPageSizeBytes - 1) / kPageSizeBytes * kPageSizeBytes);
}

Journal::Journal(UniqueFd fd, size_t file_size_bytes, const Digest& base)
    : fd_(std::move(fd)), slot_size_(file_size_bytes / 2), base_(base) {
  entry_.reserve(slot_size_);
}

bool Journal::fits(size_t blob_size_bytes) const {
  return blob_size_bytes <= slot_size_ - kHeaderSizeBytes;
}

bool Journal::append(ByteView blob) {
  entry_.resize(kHeaderSizeBytes);
  uint8_t* head = entry_.data();
  memcpy(head, kMagic, sizeof(kMagic));
  store_be64(head + kCheckedFrom, number_ + 1);
  memcpy(head + kCheckedFrom + 8, base_.data(), base_.size());
  store_be32(head + 80, static_cast<uint32_t>(blob.size()));
  store_be32(head + 84, 0);
  entry_.insert(entry_.end(), blob.begin(), blob.end());
  EVP_DigestInit_ex2(context_.get(), sha256_.get(), nullptr);
  EVP_DigestUpdate(context_.get(), &entry_[kCheckedFrom], entry_.size() - kCheckedFrom);
  if (!EVP_DigestFinal_ex(context_.get(), &entry_[kChecksumAt], nullptr)) {
    errno = ENOMEM;
    return false;
  }

  if (!write_all_at(fd_.get(), entry_, (number_ + 1) % 2 * slot_size_)) return false;
  number_++;
  return true;
}

Journal::Finding Journal::newest(ByteView file, const Digest& base, uint64_t at_most, ByteView& blob) {
  // The journal was complete and synced before the permanent file referred to it, so it cannot be shorter.
  if (file.size() < 2 * kSmallestSlotBytes) return Finding::kDamaged;
  size_t slot_size = file.size() / 2;
  uint64_t number = 0;
  bool foreign = false;
  int damaged = 0;
  for (ByteView slot : {file.first(slot_size), file.subspan(slot_size)}) {
    Entry entry;
    if (!read_slot(slot, entry)) {
      damaged += !is_zero(slot);
    } else if (!std::equal(base.begin(), base.end(), entry.base.begin())) {
      foreign = true;
    } else if (entry.number > number && entry.number <= at_most) {
      number = entry.number;
      blob = entry.blob;
    }
  }
  if (number > 0) return Finding::kEntry;
  if (foreign) return Finding::kForeign;
  return damaged == 2 ? Finding::kDamaged : Finding::kEmpty;
}

}  // namespace swtpm
