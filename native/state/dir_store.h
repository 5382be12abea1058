// Keeps each blob as a file of the state directory: tpm2-00.permall and so on, byte-compatible with swtpm's
// `dir` backend. Every path is a plain name relative to one directory descriptor; the directory's lock file
// is the supervisor's.
#pragma once

#include <sys/types.h>

#include "common/unique_fd.h"
#include "state/store.h"

namespace swtpm {

class DirStore : public Store {
 public:
  struct Options {
    bool tpm2 = false;        // tpm2-00.* instead of tpm-00.*
    mode_t mode = 0640;       // of new files
    bool mode_given = false;  // the user chose it: existing files get it, too
    bool sync = true;
    bool backup = false;  // keep the previous permanent state as *.permall.bak
  };

  DirStore(int dir_fd, const Options& options) : dir_fd_(dir_fd), options_(options) {}

  TpmResult load(BlobType type, Bytes& out) override;
  TpmResult store(BlobType type, ByteView data) override;
  TpmResult erase(BlobType type, bool must_exist) override;
  TpmResult peek(BlobType type, uint32_t& size_bytes) override;
  std::string describe(BlobType type) const override { return file_name(type).text; }
  TpmResult swap_backup() override;

 private:
  struct Name {
    char text[40];
  };

  Name file_name(BlobType type, const char* suffix = "") const;
  Name temp_name(BlobType type, const char* suffix = "") const;
  // These three set errno and say whether it worked.
  bool remove(const Name& name) const;
  bool rename(const Name& from, const Name& to) const;
  bool link(const Name& from, const Name& to) const;
  UniqueFd create(const Name& name) const;
  bool write_file(const Name& name, ByteView data) const;
  bool keep_backup() const;
  bool restore_missing_from_backup() const;
  bool sync_directory() const;
  TpmResult read_file(const Name& name, Bytes& out) const;

  int dir_fd_;
  Options options_;
};

}  // namespace swtpm
