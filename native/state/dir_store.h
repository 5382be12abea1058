// Keeps each blob as a file of the state directory: tpm2-00.permall and so on, byte-compatible with swtpm's
// `dir` backend. Every path is a plain name relative to one directory descriptor; the directory's lock file
// is the supervisor's.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>

#include "common/unique_fd.h"
#include "state/journal.h"
#include "state/store.h"

namespace swtpm {

class DirStore : public Store {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  struct Options {
    bool tpm2 = false;        // tpm2-00.* instead of tpm-00.*
    mode_t mode = 0640;       // of new files
    bool mode_given = false;  // the user chose it: existing files get it, too
    bool sync = true;
    bool backup = false;   // keep the previous permanent state as *.permall.bak
    bool journal = false;  // states that follow one another closely go to *.permall.journal; without backup
  };

  DirStore(int dir_fd, const Options& options)
      : dir_fd_(dir_fd), options_(options), journal_usable_(options.journal) {}

  TpmResult load(BlobType type, Bytes& out) override;
  TpmResult store(BlobType type, ByteView data) override;
  TpmResult erase(BlobType type, bool must_exist) override;
  TpmResult peek(BlobType type, uint32_t& size_bytes) override;
  std::string describe(BlobType type) const override { return file_name(type).text; }
  TpmResult swap_backup() override;
  TpmResult acquire() override;
  TpmResult rest() override;
  std::optional<TimePoint> rest_due() const override;
  TpmResult release() override;

 private:
  // What is known of the permanent file.
  enum class Permanent {
    kUnknown,  // nothing
    kCurrent,  // it has the state, durably, and there is no journal
    kOutdated  // it says that it is outdated, and journal_ has the state
  };
  enum class Replaced { kNo, kPerhaps, kYes };

  struct Name {
    char text[40];
  };

  Name file_name(BlobType type, const char* suffix = "") const;
  Name temp_name(BlobType type, const char* suffix = "") const;
  // These three set errno and say whether it worked.
  bool remove(const Name& name) const;
  bool rename(const Name& from, const Name& to) const;
  bool link(const Name& from, const Name& to) const;
  UniqueFd create(const Name& name, int flags = 0) const;
  bool write_file(const Name& name, ByteView data) const;
  bool keep_backup() const;
  bool restore_missing_from_backup() const;
  bool sync_directory() const;
  TpmResult read_file(const Name& name, Bytes& out, uint32_t max_size_bytes = wire::kMaxStateFileBytes) const;
  Replaced replace(BlobType type, ByteView data) const;
  Name journal_name() const { return file_name(BlobType::kPermanent, ".journal"); }
  std::optional<Journal> create_journal(size_t blob_size_bytes, const Journal::Digest& base) const;
  TpmResult begin_journal(ByteView data);
  TpmResult read_journal(Bytes& blob) const;
  TpmResult end_journal();

  int dir_fd_;
  Options options_;
  bool journal_usable_;
  Permanent permanent_ = Permanent::kUnknown;
  std::optional<Journal> journal_;
  std::optional<TimePoint> last_store_;  // of the permanent state
  TimePoint rest_due_;
};

}  // namespace swtpm
