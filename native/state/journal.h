// Where the permanent state goes while it changes often: two slots of one preallocated file, written in turn.
// Overwriting blocks that the file already has costs a disk far less than a new file under an old name, and
// the slot that is not being written keeps the last state whole. A slot, numbers big-endian:
//
//   0        8          40       48         80       84     88
//   +--------+----------+--------+----------+--------+------+---------------+------------+
//   | magic  | SHA-256  | number | SHA-256  | length | zero | a state blob, | whatever   |
//   | "swtpm | of bytes |        | of the   | of the |      | as in the     | was there  |
//   |  jrn"  | 40 … end |        | file     | blob   |      | file          | before     |
//   |        | of blob  |        | below it |        |      |               |            |
//   +--------+----------+--------+----------+--------+------+---------------+------------+
//
// Number n lies in slot n % 2, each slot being half of the file; a slot never written is all zeros. Only
// entries and their order: when there is a journal at all, and what the file below it looks like, is
// dir_store's.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <memory>

#include "common/bytes.h"
#include "common/unique_fd.h"

namespace swtpm {

class Journal {
 public:
  using Digest = std::array<uint8_t, 32>;

  static Digest digest_of(ByteView data);

  // How large a file to make, to have room for a state that starts with this size.
  static size_t file_size_for(size_t blob_size_bytes);

  // Far above the largest.
  static constexpr uint32_t kMaxFileSizeBytes = 16 * 1024 * 1024;

  // `fd` is open for writing, O_DSYNC if entries are to be durable, and holds `file_size_bytes` zeros. `base`
  // is the digest of the permanent file.
  Journal(UniqueFd fd, size_t file_size_bytes, const Digest& base);

  bool fits(size_t blob_size_bytes) const;

  // On false (with errno) the entry may be there all the same; the one before it is intact, and the next
  // attempt takes the same place.
  bool append(ByteView blob);

  // Of the last entry that was appended; 0: none.
  uint64_t number() const { return number_; }

  enum class Finding {
    kEntry,
    kEmpty,    // nothing was ever appended, or the power went while the first entry was written
    kForeign,  // it belongs to another permanent file
    kDamaged,  // no power cut does this to a journal that was synced
  };
  // Looks for the newest entry in what a journal's file holds; later ones than `at_most` do not count.
  static Finding newest(ByteView file, const Digest& base, uint64_t at_most, ByteView& blob);

 private:
  UniqueFd fd_;
  size_t slot_size_;
  Digest base_;
  uint64_t number_ = 0;
  // Kept, as they are needed for each entry.
  Bytes entry_;
  struct MdDeleter {
    void operator()(EVP_MD* md) const { EVP_MD_free(md); }
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD, MdDeleter> sha256_{EVP_MD_fetch(nullptr, "SHA256", nullptr)};
  std::unique_ptr<EVP_MD_CTX, MdDeleter> context_{EVP_MD_CTX_new()};
};

}  // namespace swtpm
