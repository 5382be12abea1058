#include "state/journaled_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <utility>

#include "common/log.h"
#include "common/reason.h"
#include "common/write_all.h"
#include "state/blob.h"

namespace swtpm {
namespace {

// States further apart are not worth a journal. And a copy of the directory is complete if the TPM has stored
// nothing for this long.
constexpr std::chrono::seconds kIdle{2};
// After a journal could not be ended.
constexpr std::chrono::seconds kNextAttempt{60};

}  // namespace

JournaledFile::JournaledFile(const StateDirectory& directory, const FileName& file, const FileName& journal,
                             bool journals, Replace replace)
    : directory_(directory),
      file_(file),
      journal_name_(journal),
      journals_(journals),
      replace_(std::move(replace)),
      journals_now_(journals) {}

TpmResult JournaledFile::find_newest(Bytes& blob) const {
  return is_marked_outdated(blob) ? read_journal(blob) : kTpmSuccess;
}

TpmResult JournaledFile::store(ByteView data) {
  if (TpmResult result = acquire()) return result;
  TimePoint now = std::chrono::steady_clock::now();
  bool often = last_store_ && now - *last_store_ < kIdle;
  last_store_ = now;
  journal_end_due_ = now + kIdle;
  if (status_ == Status::kOutdated) {
    if (!journal_->fits(data.size())) return replace_file(data);
    if (journal_->append(data)) return kTpmSuccess;
    log(LogLevel::kError, "Cannot write %zu bytes to \"%s\": %s", data.size(), journal_name_.text,
        reason_of(errno).text);
    return kTpmFail;
  }
  if (often && journals_now_) {
    TpmResult result = begin_journal(data);
    if (result != kTpmRetry) return result;
  }
  return replace_file(data);
}

// Stores in the file itself. A journal that has become too small for the state ends with this.
TpmResult JournaledFile::replace_file(ByteView data) {
  Replaced replaced = replace_(data, status_ == Status::kCurrent);
  if (replaced == Replaced::kNo) return kTpmFail;
  bool had_journal = status_ == Status::kOutdated;
  journal_.reset();
  if (replaced == Replaced::kPerhaps) {
    status_ = Status::kUnknown;
    return kTpmFail;
  }
  if (had_journal) directory_.remove(journal_name_);
  status_ = Status::kCurrent;
  return kTpmSuccess;
}

std::optional<Journal> JournaledFile::create_journal(size_t blob_size_bytes,
                                                     const Journal::Digest& base) const {
  Bytes zeros(Journal::file_size_for(blob_size_bytes));
  UniqueFd fd = directory_.create(journal_name_, directory_.syncs() ? O_DSYNC : 0);
  if (fd && write_all(fd.get(), zeros) && directory_.sync())
    return Journal(std::move(fd), zeros.size(), base);
  log(LogLevel::kDebug, "Cannot make the journal \"%s\": %s; states are stored without one",
      journal_name_.text, reason_of(errno).text);
  if (fd) directory_.remove(journal_name_);
  return std::nullopt;
}

// The journal is on the disk before the file refers to it. kTpmRetry: no journal can be made; nothing has
// been stored.
TpmResult JournaledFile::begin_journal(ByteView data) {
  Bytes outdated(data.begin(), data.end());
  mark_outdated(outdated);
  journal_ = create_journal(data.size(), Journal::digest_of(outdated));
  if (!journal_) {
    journals_now_ = false;
    return kTpmRetry;
  }
  if (replace_(outdated, status_ == Status::kCurrent) == Replaced::kYes) {
    status_ = Status::kOutdated;
    return kTpmSuccess;
  }
  status_ = Status::kUnknown;
  journal_.reset();
  return kTpmFail;
}

// `blob` is the marked file; it becomes the newest state.
TpmResult JournaledFile::read_journal(Bytes& blob) const {
  Bytes journal;
  TpmResult result = directory_.read(journal_name_, journal, Journal::kMaxFileSizeBytes);
  if (result == kTpmRetry)
    log(LogLevel::kError, "Cannot use state file \"%s\": the newest state is in \"%s\", which is missing",
        file_.text, journal_name_.text);
  if (result) return kTpmFail;
  ByteView entry;
  // An entry whose write failed may be on the disk, but its command was refused.
  uint64_t at_most = journal_ ? journal_->number() : UINT64_MAX;
  switch (Journal::newest(journal, Journal::digest_of(blob), at_most, entry)) {
    case Journal::Finding::kEntry:
      blob.assign(entry.begin(), entry.end());
      return kTpmSuccess;
    case Journal::Finding::kEmpty:
      unmark_outdated(blob);
      return kTpmSuccess;
    case Journal::Finding::kForeign:
      log(LogLevel::kError,
          "Cannot use state file \"%s\": \"%s\", where its newest state should be, "
          "belongs to another one",
          file_.text, journal_name_.text);
      return kTpmFail;
    case Journal::Finding::kDamaged:
      break;
  }
  log(LogLevel::kError, "Cannot use state file \"%s\": \"%s\", where its newest state should be, is damaged",
      file_.text, journal_name_.text);
  return kTpmFail;
}

// Writes the newest state to the file, if it is in the journal, and removes the journal.
TpmResult JournaledFile::make_current() {
  Bytes blob;
  TpmResult result = directory_.read(file_, blob);
  if (result == kTpmFail) return kTpmFail;
  if (result == kTpmSuccess && is_marked_outdated(blob)) {
    if (read_journal(blob)) return kTpmFail;
    Replaced replaced = replace_(blob, status_ == Status::kCurrent);
    if (replaced == Replaced::kNo) return kTpmFail;
    status_ = Status::kUnknown;
    journal_.reset();
    if (replaced == Replaced::kPerhaps) return kTpmFail;
    // The removal is not synced; if a crash brings the journal back, the branch below removes it.
    directory_.remove(journal_name_);
  } else if (directory_.contains(journal_name_)) {
    // A crash came after the journal's end or before its beginning. The disk may still have the marked file,
    // which needs the journal, so sync the unmarked one first.
    if (!directory_.sync()) return kTpmFail;
    log(LogLevel::kWarning,
        "Removing the journal \"%s\": \"%s\" does not belong to it; it was put there later, or a crash came "
        "in between",
        journal_name_.text, file_.text);
    directory_.remove(journal_name_);
  }
  status_ = Status::kCurrent;
  return kTpmSuccess;
}

TpmResult JournaledFile::acquire() {
  return status_ == Status::kUnknown ? make_current() : kTpmSuccess;
}

TpmResult JournaledFile::end_journal() {
  if (status_ != Status::kOutdated) return kTpmSuccess;
  TpmResult result = make_current();
  if (result) journal_end_due_ = std::chrono::steady_clock::now() + kNextAttempt;
  return result;
}

std::optional<JournaledFile::TimePoint> JournaledFile::journal_end_due() const {
  if (status_ != Status::kOutdated) return std::nullopt;
  return journal_end_due_;
}

TpmResult JournaledFile::release() {
  TpmResult result = end_journal();
  forget();
  journals_now_ = journals_;
  return result;
}

void JournaledFile::forget() {
  status_ = Status::kUnknown;
  journal_.reset();
}

}  // namespace swtpm
