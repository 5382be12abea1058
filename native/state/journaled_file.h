// A state file whose newest content may be in a journal beside it: when the journal is begun and ended, and
// which of the two counts. docs/design/0004-journal.md has the order of steps and the reasons; journal.h has
// the journal's layout.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "state/journal.h"
#include "state/state_directory.h"

namespace swtpm {

class JournaledFile {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Replaced = StateDirectory::Replaced;

  // Replaces the state file. `is_current`: the file that is replaced has the newest state, synced.
  using Replace = std::function<Replaced(ByteView data, bool is_current)>;

  // `journals`: whether to begin journals. One that an earlier process has left is read in any case.
  JournaledFile(const StateDirectory& directory, const FileName& file, const FileName& journal, bool journals,
                Replace replace);

  // `blob` is the content of the file as it is; it becomes the newest state. kTpmFail: the newest state
  // cannot be read (logged).
  TpmResult find_newest(Bytes& blob) const;

  // As in Store.
  TpmResult store(ByteView data);
  TpmResult acquire();
  TpmResult end_journal();
  std::optional<TimePoint> journal_end_due() const;
  TpmResult release();

  // The file is about to be removed: nothing is known of it any more.
  void forget();

 private:
  // What is known of the file.
  enum class Status {
    kUnknown,  // nothing
    kCurrent,  // it has the newest state, synced, and there is no journal
    kOutdated  // it is marked as outdated, and journal_ has the newest state
  };

  TpmResult replace_file(ByteView data);
  TpmResult begin_journal(ByteView data);
  std::optional<Journal> create_journal(size_t blob_size_bytes, const Journal::Digest& base) const;
  TpmResult read_journal(Bytes& blob) const;
  TpmResult make_current();

  const StateDirectory& directory_;
  const FileName file_;
  const FileName journal_name_;
  const bool journals_;
  const Replace replace_;

  Status status_ = Status::kUnknown;
  bool journals_now_;  // false after a journal could not be made, until release()
  std::optional<Journal> journal_;
  std::optional<TimePoint> last_store_;
  TimePoint journal_end_due_;
};

}  // namespace swtpm
