// Order of replacing a file: write the temporary file, fsync it, rename it, fsync the directory. A power cut
// at any point leaves the old or the new content, and an acknowledged state stays: that is why the directory
// is synced after the rename and not before.
#include "state/state_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/eintr.h"
#include "common/file_status.h"
#include "common/log.h"
#include "common/reason.h"
#include "common/write_all.h"

namespace swtpm {
namespace {

bool sync_descriptor(int fd) {
  return no_eintr([&] { return ::fsync(fd); }) == 0;
}

}  // namespace

// O_NONBLOCK: a FIFO under this name must not hang the TPM. O_NOFOLLOW: a link must not make the engine read,
// or chmod, a file outside the directory.
UniqueFd StateDirectory::open(const FileName& name) const {
  return UniqueFd(
      no_eintr([&] { return ::openat(dir_fd_, name.text, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC); }));
}

bool StateDirectory::remove(const FileName& name) const {
  return no_eintr([&] { return ::unlinkat(dir_fd_, name.text, 0); }) == 0;
}

bool StateDirectory::rename(const FileName& from, const FileName& to) const {
  return no_eintr([&] { return ::renameat(dir_fd_, from.text, dir_fd_, to.text); }) == 0;
}

bool StateDirectory::link(const FileName& from, const FileName& to) const {
  return no_eintr([&] { return ::linkat(dir_fd_, from.text, dir_fd_, to.text, 0); }) == 0;
}

TpmResult StateDirectory::read(const FileName& name, Bytes& out, uint32_t max_size_bytes) const {
  UniqueFd fd = open(name);
  if (!fd) {
    if (errno == ENOENT) return kTpmRetry;
    log(LogLevel::kError, "Cannot open state file \"%s\": %s", name.text,
        errno == ELOOP ? "it is a symbolic link" : reason_of(errno).text);
    return kTpmFail;
  }
  struct stat st;
  if (!file_status(fd.get(), st) || !S_ISREG(st.st_mode)) {
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
          n < 0 ? reason_of(errno).text : "it shrank while being read");
      return kTpmFail;
    }
    have += static_cast<size_t>(n);
  }
  // A file system may have no modes (FAT), or the file another owner. The state has been read, so this is no
  // error.
  if (options_.mode_given && (st.st_mode & 07777) != options_.mode && ::fchmod(fd.get(), options_.mode) < 0)
    log(LogLevel::kDebug, "Cannot change the mode of state file \"%s\": %s", name.text,
        reason_of(errno).text);
  return kTpmSuccess;
}

TpmResult StateDirectory::size(const FileName& name, uint32_t& size_bytes) const {
  struct stat st;
  UniqueFd fd = open(name);
  if (!fd || !file_status(fd.get(), st)) return errno == ENOENT ? kTpmRetry : kTpmFail;
  if (!S_ISREG(st.st_mode) || st.st_size > wire::kMaxStateFileBytes) return kTpmFail;
  size_bytes = static_cast<uint32_t>(st.st_size);
  return kTpmSuccess;
}

bool StateDirectory::contains(const FileName& name) const {
  return open(name) || errno != ENOENT;
}

UniqueFd StateDirectory::create(const FileName& name, int flags) const {
  // O_EXCL, because a leftover may be a link to a file in use. A crash has left it, so it is removed.
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

bool StateDirectory::write(const FileName& name, ByteView data) const {
  UniqueFd fd = create(name);
  if (!fd) {
    log(LogLevel::kError, "Cannot create state file \"%s\": %s", name.text, reason_of(errno).text);
    return false;
  }
  bool written = write_all(fd.get(), data) && (!options_.sync || sync_descriptor(fd.get()));
  int saved_errno = errno;
  // Some file systems (NFS) report a failed write only here. Interrupted or not, the descriptor is closed.
  if (::close(fd.release()) < 0 && errno != EINTR && written) {
    written = false;
    saved_errno = errno;
  }
  if (!written) {
    log(LogLevel::kError, "Cannot write %zu bytes to state file \"%s\": %s", data.size(), name.text,
        reason_of(saved_errno).text);
    remove(name);
  }
  return written;
}

StateDirectory::Replaced StateDirectory::put_in_place(const FileName& temp, const FileName& name) const {
  if (!rename(temp, name)) {
    log(LogLevel::kError, "Cannot rename \"%s\" to \"%s\": %s", temp.text, name.text, reason_of(errno).text);
    remove(temp);
    return Replaced::kNo;
  }
  return sync() ? Replaced::kYes : Replaced::kPerhaps;
}

bool StateDirectory::sync() const {
  if (!options_.sync || sync_descriptor(dir_fd_)) return true;
  // A file system that cannot sync directories at all returns EINVAL; there is nothing else to try. EROFS is
  // a failure: the file system became read-only after an error, and what it had not written by then is gone.
  if (errno == EINVAL) return true;
  log(LogLevel::kError, "Cannot sync the state directory: %s", reason_of(errno).text);
  return false;
}

}  // namespace swtpm
