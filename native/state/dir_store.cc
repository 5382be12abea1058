// Order of a store: write TMP file, fsync it, keep the backup, rename, fsync the directory. A power cut at
// any point leaves the old or the new content, and what was acknowledged stays: that is why the directory is
// synced after the rename and not before.
//
// When permanent states follow one another closely, they go to a journal instead: journal.h, and
// docs/design/0004-journal.md for the order in which it comes and goes.
#include "state/dir_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/eintr.h"
#include "common/log.h"
#include "state/blob.h"

namespace swtpm {
namespace {

// States further apart are not worth a journal. And a copy of the directory made when the TPM has been at
// rest for so long is complete.
constexpr std::chrono::seconds kIdle{2};
constexpr std::chrono::seconds kNextAttempt{60};

bool write_all(int fd, ByteView data) {
  while (!data.empty()) {
    ssize_t n = no_eintr([&] { return ::write(fd, data.data(), data.size()); });
    if (n == 0) errno = ENOSPC;  // no file does this, but we would write for ever
    if (n <= 0) return false;
    data = data.subspan(static_cast<size_t>(n));
  }
  return true;
}

bool sync(int fd) {
  return no_eintr([&] { return ::fsync(fd); }) == 0;
}

}  // namespace

bool DirStore::remove(const Name& name) const {
  return no_eintr([&] { return ::unlinkat(dir_fd_, name.text, 0); }) == 0;
}

bool DirStore::rename(const Name& from, const Name& to) const {
  return no_eintr([&] { return ::renameat(dir_fd_, from.text, dir_fd_, to.text); }) == 0;
}

bool DirStore::link(const Name& from, const Name& to) const {
  return no_eintr([&] { return ::linkat(dir_fd_, from.text, dir_fd_, to.text, 0); }) == 0;
}

DirStore::Name DirStore::file_name(BlobType type, const char* suffix) const {
  Name name;
  snprintf(name.text, sizeof(name.text), "tpm%s-00.%s%s", options_.tpm2 ? "2" : "", blob_name(type), suffix);
  return name;
}

DirStore::Name DirStore::temp_name(BlobType type, const char* suffix) const {
  Name name;
  snprintf(name.text, sizeof(name.text), "TMP%s-00.%s%s", options_.tpm2 ? "2" : "", blob_name(type), suffix);
  return name;
}

TpmResult DirStore::read_file(const Name& name, Bytes& out, uint32_t max_size_bytes) const {
  // O_NONBLOCK: a FIFO under this name must not hang the TPM. O_NOFOLLOW: nor may a link make us read, or
  // chmod, something outside the directory.
  UniqueFd fd(
      no_eintr([&] { return ::openat(dir_fd_, name.text, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC); }));
  if (!fd) {
    if (errno == ENOENT) return kTpmRetry;
    log(LogLevel::kError, "Cannot open state file \"%s\": %s", name.text,
        errno == ELOOP ? "it is a symbolic link" : strerror(errno));
    return kTpmFail;
  }
  struct stat st;
  if (::fstat(fd.get(), &st) < 0 || !S_ISREG(st.st_mode)) {
    log(LogLevel::kError, "Cannot read state file \"%s\": it is not a regular file", name.text);
    return kTpmFail;
  }
  if (st.st_size > max_size_bytes) {
    log(LogLevel::kError, "Cannot read state file \"%s\": its %lld bytes are more than any TPM state",
        name.text, static_cast<long long>(st.st_size));
    return kTpmFail;
  }
  out.resize(static_cast<size_t>(st.st_size));
  size_t have = 0;
  while (have < out.size()) {
    ssize_t n = no_eintr([&] { return ::read(fd.get(), out.data() + have, out.size() - have); });
    if (n <= 0) {
      log(LogLevel::kError, "Cannot read state file \"%s\": %s", name.text,
          n < 0 ? strerror(errno) : "it shrank while being read");
      return kTpmFail;
    }
    have += static_cast<size_t>(n);
  }
  // The state may lie on a file system without modes (FAT), or belong to somebody else: reading worked, so go
  // on.
  if (options_.mode_given && (st.st_mode & 07777) != options_.mode && ::fchmod(fd.get(), options_.mode) < 0)
    log(LogLevel::kDebug, "Cannot change the mode of state file \"%s\": %s", name.text, strerror(errno));
  return kTpmSuccess;
}

TpmResult DirStore::load(BlobType type, Bytes& out) {
  TpmResult result = read_file(file_name(type), out);
  if (result == kTpmRetry && type == BlobType::kPermanent && restore_missing_from_backup())
    result = read_file(file_name(type), out);
  if (result == kTpmSuccess && type == BlobType::kPermanent && is_marked_outdated(out))
    return read_journal(out);
  return result;
}

UniqueFd DirStore::create(const Name& name, int flags) const {
  // O_EXCL, because a leftover may be a link to a live file; what is in the way was left by a crash and can
  // go.
  for (int attempt = 0; attempt < 2; attempt++) {
    UniqueFd fd(no_eintr([&] {
      return ::openat(dir_fd_, name.text, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | flags,
                      options_.mode);
    }));
    if (fd || errno != EEXIST) return fd;
    if (!remove(name)) return UniqueFd();
  }
  return UniqueFd();
}

bool DirStore::write_file(const Name& name, ByteView data) const {
  UniqueFd fd = create(name);
  if (!fd) {
    log(LogLevel::kError, "Cannot create state file \"%s\": %s", name.text, strerror(errno));
    return false;
  }
  bool written = write_all(fd.get(), data) && (!options_.sync || sync(fd.get()));
  int saved_errno = errno;
  // Some file systems (NFS) report a failed write only here. Interrupted or not, the descriptor is closed.
  if (::close(fd.release()) < 0 && errno != EINTR && written) {
    written = false;
    saved_errno = errno;
  }
  if (!written) {
    log(LogLevel::kError, "Cannot write %zu bytes to state file \"%s\": %s", data.size(), name.text,
        strerror(saved_errno));
    remove(name);
  }
  return written;
}

bool DirStore::sync_directory() const {
  if (!options_.sync || sync(dir_fd_)) return true;
  // A file system that cannot sync a directory says EINVAL; there is nothing more to be had from it. EROFS is
  // something else: the file system has given up after an error, and what it had not written is lost.
  if (errno == EINVAL) return true;
  log(LogLevel::kError, "Cannot sync the state directory: %s", strerror(errno));
  return false;
}

// A second name for the current file, renamed over the old backup: at no moment is either name missing or
// half written.
bool DirStore::keep_backup() const {
  Name current = file_name(BlobType::kPermanent);
  Name backup = file_name(BlobType::kPermanent, ".bak");
  Name temp = temp_name(BlobType::kPermanent, ".bak");
  remove(temp);
  if (!link(current, temp)) {
    if (errno == ENOENT) return true;  // the very first store
    // No hard links here (FAT): copy.
    Bytes content;
    if (read_file(current, content) != kTpmSuccess || !write_file(temp, content)) return false;
  }
  if (!rename(temp, backup)) {
    log(LogLevel::kError, "Cannot rename \"%s\" to \"%s\": %s", temp.text, backup.text, strerror(errno));
    remove(temp);
    return false;
  }
  // rename() of two names of the same file does nothing, which is the case after a crash between this and the
  // store.
  remove(temp);
  return true;
}

// Other versions move the file away before they write the new one; after a crash in between only the backup
// is left, and starting without it would manufacture a new TPM.
bool DirStore::restore_missing_from_backup() const {
  if (!options_.backup) return false;
  Name current = file_name(BlobType::kPermanent);
  Name backup = file_name(BlobType::kPermanent, ".bak");
  if (!rename(backup, current)) return false;
  log(LogLevel::kWarning, "State file \"%s\" was missing and has been restored from \"%s\"", current.text,
      backup.text);
  return sync_directory();
}

TpmResult DirStore::swap_backup() {
  if (!options_.backup) return kTpmRetry;
  Name current = file_name(BlobType::kPermanent);
  Name backup = file_name(BlobType::kPermanent, ".bak");
  Name temp = temp_name(BlobType::kPermanent, ".bak");
  remove(temp);
  // A crash in between leaves the one content under its final name and the other under the temporary one.
  if (!link(current, temp)) return kTpmRetry;
  if (!rename(backup, current) || !rename(temp, backup)) {
    remove(temp);
    return kTpmRetry;
  }
  return sync_directory() ? kTpmSuccess : kTpmFail;
}

DirStore::Replaced DirStore::replace(BlobType type, ByteView data) const {
  Name name = file_name(type);
  Name temp = temp_name(type);
  if (!write_file(temp, data)) return Replaced::kNo;
  // A file that is outdated is no backup.
  bool current = type == BlobType::kPermanent && permanent_ == Permanent::kCurrent;
  if (options_.backup && current && !keep_backup()) {
    remove(temp);
    return Replaced::kNo;
  }
  if (!rename(temp, name)) {
    log(LogLevel::kError, "Cannot rename \"%s\" to \"%s\": %s", temp.text, name.text, strerror(errno));
    remove(temp);
    return Replaced::kNo;
  }
  return sync_directory() ? Replaced::kYes : Replaced::kPerhaps;
}

TpmResult DirStore::store(BlobType type, ByteView data) {
  if (type != BlobType::kPermanent) return replace(type, data) == Replaced::kYes ? kTpmSuccess : kTpmFail;
  if (TpmResult result = acquire()) return result;
  TimePoint now = std::chrono::steady_clock::now();
  bool often = last_store_ && now - *last_store_ < kIdle;
  last_store_ = now;
  rest_due_ = now + kIdle;
  if (permanent_ == Permanent::kOutdated) {
    if (journal_->fits(data.size())) {
      if (journal_->append(data)) return kTpmSuccess;
      log(LogLevel::kError, "Cannot write %zu bytes to \"%s\": %s", data.size(), journal_name().text,
          strerror(errno));
      return kTpmFail;
    }
  } else if (often && journal_usable_) {
    TpmResult result = begin_journal(data);
    if (result != kTpmRetry) return result;
  }
  switch (replace(type, data)) {
    case Replaced::kNo:
      return kTpmFail;
    case Replaced::kPerhaps:
      permanent_ = Permanent::kUnknown;
      journal_.reset();
      return kTpmFail;
    case Replaced::kYes:
      break;
  }
  // One that has become too small.
  if (permanent_ == Permanent::kOutdated) remove(journal_name());
  permanent_ = Permanent::kCurrent;
  journal_.reset();
  return kTpmSuccess;
}

std::optional<Journal> DirStore::create_journal(size_t blob_size_bytes, const Journal::Digest& base) const {
  Name name = journal_name();
  Bytes zeros(Journal::file_size_for(blob_size_bytes));
  UniqueFd fd = create(name, options_.sync ? O_DSYNC : 0);
  if (fd && write_all(fd.get(), zeros) && sync_directory()) return Journal(std::move(fd), zeros.size(), base);
  log(LogLevel::kDebug, "Going on without a journal: cannot make \"%s\": %s", name.text, strerror(errno));
  if (fd) remove(name);
  return std::nullopt;
}

// The journal is on the disk before the file refers to it. kTpmRetry: there can be none; nothing has been
// stored.
TpmResult DirStore::begin_journal(ByteView data) {
  Bytes outdated(data.begin(), data.end());
  mark_outdated(outdated);
  journal_ = create_journal(data.size(), Journal::digest_of(outdated));
  if (!journal_) {
    journal_usable_ = false;
    return kTpmRetry;
  }
  if (replace(BlobType::kPermanent, outdated) == Replaced::kYes) {
    permanent_ = Permanent::kOutdated;
    return kTpmSuccess;
  }
  permanent_ = Permanent::kUnknown;
  journal_.reset();
  return kTpmFail;
}

// `blob`: the permanent file as it is; then the newest state.
TpmResult DirStore::read_journal(Bytes& blob) const {
  Name name = journal_name();
  Name below = file_name(BlobType::kPermanent);
  Bytes file;
  TpmResult result = read_file(name, file, Journal::kMaxFileSizeBytes);
  if (result == kTpmRetry)
    log(LogLevel::kError, "Cannot use state file \"%s\": the newest state is in \"%s\", which is missing",
        below.text, name.text);
  if (result) return kTpmFail;
  ByteView entry;
  // An entry whose writing failed may be there, but its command has been refused.
  uint64_t at_most = journal_ ? journal_->number() : UINT64_MAX;
  switch (Journal::newest(file, Journal::digest_of(blob), at_most, entry)) {
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
          below.text, name.text);
      return kTpmFail;
    case Journal::Finding::kDamaged:
      break;
  }
  log(LogLevel::kError, "Cannot use state file \"%s\": \"%s\", where its newest state should be, is damaged",
      below.text, name.text);
  return kTpmFail;
}

// Writes the newest state to the permanent file, if it is elsewhere, and removes the journal.
TpmResult DirStore::end_journal() {
  Name name = journal_name();
  Bytes blob;
  TpmResult result = read_file(file_name(BlobType::kPermanent), blob);
  if (result == kTpmFail) return kTpmFail;
  struct stat st;
  if (result == kTpmSuccess && is_marked_outdated(blob)) {
    if (read_journal(blob)) return kTpmFail;
    Replaced replaced = replace(BlobType::kPermanent, blob);
    if (replaced == Replaced::kNo) return kTpmFail;
    permanent_ = Permanent::kUnknown;
    journal_.reset();
    if (replaced == Replaced::kPerhaps) return kTpmFail;
    // Not synced: should it come back, it is one of those below.
    remove(name);
  } else if (::fstatat(dir_fd_, name.text, &st, AT_SYMLINK_NOFOLLOW) == 0) {
    // Left behind after its end, or before its beginning. What the file was before may still be what the disk
    // has, and need it.
    if (!sync_directory()) return kTpmFail;
    remove(name);
  }
  permanent_ = Permanent::kCurrent;
  return kTpmSuccess;
}

TpmResult DirStore::acquire() {
  return permanent_ == Permanent::kUnknown ? end_journal() : kTpmSuccess;
}

TpmResult DirStore::rest() {
  if (permanent_ != Permanent::kOutdated) return kTpmSuccess;
  TpmResult result = end_journal();
  if (result) rest_due_ = std::chrono::steady_clock::now() + kNextAttempt;
  return result;
}

TpmResult DirStore::release() {
  TpmResult result = rest();
  permanent_ = Permanent::kUnknown;
  journal_.reset();
  journal_usable_ = options_.journal;
  return result;
}

std::optional<DirStore::TimePoint> DirStore::rest_due() const {
  if (permanent_ != Permanent::kOutdated) return std::nullopt;
  return rest_due_;
}

TpmResult DirStore::erase(BlobType type, bool must_exist) {
  Name name = file_name(type);
  if (type == BlobType::kPermanent) {
    permanent_ = Permanent::kUnknown;
    journal_.reset();
  }
  if (remove(name)) return sync_directory() ? kTpmSuccess : kTpmFail;
  if (errno == ENOENT && !must_exist) return kTpmSuccess;
  log(LogLevel::kError, "Cannot remove state file \"%s\": %s", name.text, strerror(errno));
  return kTpmFail;
}

TpmResult DirStore::peek(BlobType type, uint32_t& size_bytes) {
  Name name = file_name(type);
  struct stat st;
  if (::fstatat(dir_fd_, name.text, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? kTpmRetry : kTpmFail;
  if (!S_ISREG(st.st_mode) || st.st_size > wire::kMaxStateFileBytes) return kTpmFail;
  size_bytes = static_cast<uint32_t>(st.st_size);
  return kTpmSuccess;
}

}  // namespace swtpm
