#include "state/dir_store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/reason.h"

namespace swtpm {

DirStore::DirStore(int dir_fd, const Options& options)
    : directory_(dir_fd, options.files),
      options_(options),
      permanent_(directory_, file_name(BlobType::kPermanent), file_name(BlobType::kPermanent, ".journal"),
                 options.journal, [this](ByteView data, bool is_current) {
                   // A file that is outdated is no backup.
                   return replace(BlobType::kPermanent, data, options_.backup && is_current);
                 }) {}

FileName DirStore::file_name(BlobType type, const char* suffix) const {
  FileName name;
  snprintf(name.text, sizeof(name.text), "tpm%s-00.%s%s", options_.tpm2 ? "2" : "", blob_name(type), suffix);
  return name;
}

FileName DirStore::temp_name(BlobType type, const char* suffix) const {
  FileName name;
  snprintf(name.text, sizeof(name.text), "TMP%s-00.%s%s", options_.tpm2 ? "2" : "", blob_name(type), suffix);
  return name;
}

TpmResult DirStore::load(BlobType type, Bytes& out) {
  TpmResult result = directory_.read(file_name(type), out);
  if (type != BlobType::kPermanent) return result;
  if (result == kTpmRetry && restore_missing_from_backup()) result = directory_.read(file_name(type), out);
  return result ? result : permanent_.find_newest(out);
}

TpmResult DirStore::store(BlobType type, ByteView data) {
  if (type == BlobType::kPermanent) return permanent_.store(data);
  return replace(type, data, false) == Replaced::kYes ? kTpmSuccess : kTpmFail;
}

TpmResult DirStore::erase(BlobType type, bool must_exist) {
  FileName name = file_name(type);
  if (type == BlobType::kPermanent) permanent_.forget();
  if (directory_.remove(name)) return directory_.sync() ? kTpmSuccess : kTpmFail;
  if (errno == ENOENT && !must_exist) return kTpmSuccess;
  log(LogLevel::kError, "Cannot remove state file \"%s\": %s", name.text, reason_of(errno).text);
  return kTpmFail;
}

TpmResult DirStore::peek(BlobType type, uint32_t& size_bytes) {
  return directory_.size(file_name(type), size_bytes);
}

DirStore::Replaced DirStore::replace(BlobType type, ByteView data, bool with_backup) const {
  FileName temp = temp_name(type);
  if (!directory_.write(temp, data)) return Replaced::kNo;
  if (with_backup && !keep_backup()) {
    directory_.remove(temp);
    return Replaced::kNo;
  }
  return directory_.put_in_place(temp, file_name(type));
}

// A second name for the current file, renamed over the old backup: at no moment is either name missing or its
// file incomplete.
bool DirStore::keep_backup() const {
  FileName current = file_name(BlobType::kPermanent);
  FileName backup = file_name(BlobType::kPermanent, ".bak");
  FileName temp = temp_name(BlobType::kPermanent, ".bak");
  directory_.remove(temp);
  if (!directory_.link(current, temp)) {
    if (errno == ENOENT) return true;  // the very first store
    // No hard links here (FAT): copy.
    Bytes content;
    if (directory_.read(current, content) != kTpmSuccess || !directory_.write(temp, content)) return false;
  }
  if (!directory_.rename(temp, backup)) {
    log(LogLevel::kError, "Cannot rename \"%s\" to \"%s\": %s", temp.text, backup.text,
        reason_of(errno).text);
    directory_.remove(temp);
    return false;
  }
  // If both are names of the same file, rename() does nothing and the temporary name stays. That is so after
  // a crash between this and the store.
  directory_.remove(temp);
  return true;
}

// Other versions move the file away before they write the new one. After a crash in between only the backup
// is left, and a start without it would manufacture a new TPM.
bool DirStore::restore_missing_from_backup() const {
  if (!options_.backup) return false;
  FileName current = file_name(BlobType::kPermanent);
  FileName backup = file_name(BlobType::kPermanent, ".bak");
  if (!directory_.rename(backup, current)) return false;
  log(LogLevel::kWarning, "State file \"%s\" was missing and has been restored from \"%s\"", current.text,
      backup.text);
  return directory_.sync();
}

TpmResult DirStore::swap_backup() {
  FileName current = file_name(BlobType::kPermanent);
  FileName backup = file_name(BlobType::kPermanent, ".bak");
  FileName temp = temp_name(BlobType::kPermanent, ".bak");
  if (!options_.backup) {
    if (directory_.contains(backup))
      log(LogLevel::kWarning,
          "There is a backup, \"%s\"; start swtpm with --tpmstate dir=DIR,backup to try it", backup.text);
    return kTpmRetry;
  }
  directory_.remove(temp);
  // A crash in between leaves one content under its final name and the other under the temporary one. Without
  // hard links (FAT) it may leave the backup alone, which the next start then uses.
  if (!directory_.link(current, temp) && !directory_.rename(current, temp)) return kTpmRetry;
  if (!directory_.rename(backup, current) || !directory_.rename(temp, backup)) {
    if (!directory_.contains(current)) directory_.rename(temp, current);
    directory_.remove(temp);
    return kTpmRetry;
  }
  return directory_.sync() ? kTpmSuccess : kTpmFail;
}

}  // namespace swtpm
