// The files of a state directory: read, written, replaced and removed by plain names, relative to one
// directory descriptor. What the files are, and which of them belong together, is for dir_store and
// journaled_file.
#pragma once

#include <sys/types.h>

#include "common/bytes.h"
#include "common/tpm_result.h"
#include "common/unique_fd.h"
#include "state/blob.h"

namespace swtpm {

struct FileName {
  char text[40];
};

class StateDirectory {
 public:
  struct Options {
    mode_t mode = 0640;       // of new files
    bool mode_given = false;  // the user chose it: existing files get it, too
    bool sync = true;
  };

  // Whether a file has been replaced. kPerhaps: in memory it has, but the disk may keep the old one.
  enum class Replaced { kNo, kPerhaps, kYes };

  StateDirectory(int dir_fd, const Options& options) : dir_fd_(dir_fd), options_(options) {}

  // kTpmRetry: there is no such file. kTpmFail: it is there, but cannot be read, or is larger than
  // `max_size_bytes` (logged).
  TpmResult read(const FileName& name, Bytes& out, uint32_t max_size_bytes = wire::kMaxStateFileBytes) const;

  // The size without reading the file. kTpmRetry: there is no such file. kTpmFail: it is no state file.
  TpmResult size(const FileName& name, uint32_t& size_bytes) const;

  // Whether there is anything of this name.
  bool contains(const FileName& name) const;

  // Makes a file of its own, open for writing, in the place of one that a crash has left. Without a value
  // (with errno) there is none.
  UniqueFd create(const FileName& name, int flags = 0) const;

  // Makes a file with this content, synced. On false (logged) there is none.
  bool write(const FileName& name, ByteView data) const;

  // Gives the complete file `temp` the name `name`, and syncs the directory. On kNo (logged) `temp` is gone.
  Replaced put_in_place(const FileName& temp, const FileName& name) const;

  // False, after a log line: what was renamed or removed may come back after a power cut.
  bool sync() const;

  bool syncs() const { return options_.sync; }

  // These set errno and return false if they fail.
  bool remove(const FileName& name) const;
  bool rename(const FileName& from, const FileName& to) const;
  bool link(const FileName& from, const FileName& to) const;

 private:
  // For reading. Without a value, with errno: ELOOP is a link's.
  UniqueFd open(const FileName& name) const;

  int dir_fd_;
  Options options_;
};

}  // namespace swtpm
