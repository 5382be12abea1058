// Keeps each blob as a file of the state directory: tpm2-00.permall and so on, byte-compatible with swtpm's
// `dir` backend. The supervisor owns the directory's lock file.
#pragma once

#include "state/journaled_file.h"
#include "state/state_directory.h"
#include "state/store.h"

namespace swtpm {

class DirStore : public Store {
 public:
  struct Options {
    bool tpm2 = false;  // tpm2-00.* instead of tpm-00.*
    StateDirectory::Options files = {};
    bool backup = false;   // keep the previous permanent state as *.permall.bak
    bool journal = false;  // permanent states that follow one another closely go to *.permall.journal; not
                           // together with backup
  };

  DirStore(int dir_fd, const Options& options);
  // permanent_ refers to this object.
  DirStore(const DirStore&) = delete;
  DirStore& operator=(const DirStore&) = delete;

  TpmResult load(BlobType type, Bytes& out) override;
  TpmResult store(BlobType type, ByteView data) override;
  TpmResult erase(BlobType type, bool must_exist) override;
  TpmResult peek(BlobType type, uint32_t& size_bytes) override;
  std::string describe(BlobType type) const override { return file_name(type).text; }
  std::string how_to_discard_volatile() const override { return "move it away"; }
  TpmResult swap_backup() override;
  TpmResult acquire() override { return permanent_.acquire(); }
  TpmResult end_journal() override { return permanent_.end_journal(); }
  std::optional<TimePoint> journal_end_due() const override { return permanent_.journal_end_due(); }
  TpmResult release() override { return permanent_.release(); }

 private:
  using Replaced = StateDirectory::Replaced;

  FileName file_name(BlobType type, const char* suffix = "") const;
  FileName temp_name(BlobType type, const char* suffix = "") const;
  Replaced replace(BlobType type, ByteView data, bool with_backup) const;
  bool keep_backup() const;
  bool restore_missing_from_backup() const;

  const StateDirectory directory_;
  const Options options_;
  JournaledFile permanent_;
};

}  // namespace swtpm
