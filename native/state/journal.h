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
// Entry number n is in slot n % 2. Each slot is half of the file; a slot that was never written is all zeros.
// "The file" is the permanent file beside the journal. This class knows entries and their order only; when a
// journal is begun and ended is decided in journaled_file.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <memory>

#include "common/bytes.h"
#include "common/unique_fd.h"
#include "generated/contract.h"

namespace swtpm {

class Journal {
 public:
  using Digest = std::array<uint8_t, 32>;

  static Digest digest_of(ByteView data);

  // How large to make the journal's file when the state has this size now.
  static size_t file_size_for(size_t blob_size_bytes);

  // No journal is larger; a file that is, is not read.
  static constexpr uint32_t kMaxFileSizeBytes = wire::kMaxJournalBytes;

  // `fd` is open for writing, O_DSYNC if entries are to be durable, and holds `file_size_bytes` zeros. `base`
  // is the digest of the permanent file.
  Journal(UniqueFd fd, size_t file_size_bytes, const Digest& base);

  bool fits(size_t blob_size_bytes) const;

  // On false (with errno) the entry may be on the disk all the same. The entry before it is intact, and the
  // next attempt takes the same slot.
  bool append(ByteView blob);

  // The number of the last entry that was appended; 0: none.
  uint64_t number() const { return number_; }

  enum class Finding {
    kEntry,
    kEmpty,    // nothing was ever appended, or the power failed while the first entry was written
    kForeign,  // the entries belong to another permanent file
    kDamaged,  // no power cut does this to a journal that was synced
  };
  // Finds the newest entry in the bytes of a journal's file, as `blob`. Numbers above `at_most` do not count.
  static Finding newest(ByteView file, const Digest& base, uint64_t at_most, ByteView& blob);

 private:
  UniqueFd fd_;
  size_t slot_size_;
  Digest base_;
  uint64_t number_ = 0;
  // Reused for each entry.
  Bytes entry_;
  struct MdDeleter {
    void operator()(EVP_MD* md) const { EVP_MD_free(md); }
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD, MdDeleter> sha256_{EVP_MD_fetch(nullptr, "SHA256", nullptr)};
  std::unique_ptr<EVP_MD_CTX, MdDeleter> context_{EVP_MD_CTX_new()};
};

}  // namespace swtpm
