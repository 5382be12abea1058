/* Preloaded into a Node.js program by the tests: writes down each call that changes files, and kills the
 * process with SIGKILL before the one whose number is given. Programs that it starts are left alone.
 *
 *   KILL_SHIM_LOG   the file to write the calls to, one a line
 *   KILL_SHIM_AT    the number of the call, from 0 on; none: the process lives
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int log_fd = -1;
static long kill_at = -1;
static long calls;

__attribute__((constructor)) static void begin(void) {
  const char* path = getenv("KILL_SHIM_LOG");
  const char* at = getenv("KILL_SHIM_AT");
  if (path == NULL) return;
  if (at != NULL) kill_at = strtol(at, NULL, 10);
  log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  unsetenv("KILL_SHIM_LOG");
  unsetenv("LD_PRELOAD");
}

static void before(const char* call, const char* name) {
  if (log_fd < 0) return;
  char line[512];
  int length = snprintf(line, sizeof(line), "%s %s\n", call, name);
  if (length >= (int)sizeof(line)) length = sizeof(line) - 1;
  syscall(SYS_write, log_fd, line, (size_t)length);
  if (calls++ == kill_at) kill(getpid(), SIGKILL);
}

/* Node writes to pipes of its own, too. */
static void before_fd(const char* call, int fd) {
  struct stat st;
  if (fd == log_fd || syscall(SYS_fstat, fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || S_ISDIR(st.st_mode)))
    return;
  char link[64], path[256];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof(path) - 1);
  path[length < 0 ? 0 : length] = '\0';
  before(call, path);
}

#define REAL(function) ((__typeof__(&function))dlsym(RTLD_NEXT, #function))

#define OPEN(function, ...)                                  \
  mode_t mode = 0;                                           \
  if (flags & (O_CREAT | __O_TMPFILE)) {                     \
    va_list rest;                                            \
    va_start(rest, flags);                                   \
    mode = va_arg(rest, mode_t);                             \
    va_end(rest);                                            \
  }                                                          \
  if (flags & (O_CREAT | O_TRUNC)) before("open", path);     \
  return REAL(function)(__VA_ARGS__, flags, mode)

int open(const char* path, int flags, ...) { OPEN(open, path); }
int open64(const char* path, int flags, ...) { OPEN(open64, path); }
int openat(int dir, const char* path, int flags, ...) { OPEN(openat, dir, path); }
int openat64(int dir, const char* path, int flags, ...) { OPEN(openat64, dir, path); }

ssize_t write(int fd, const void* data, size_t size) {
  before_fd("write", fd);
  return REAL(write)(fd, data, size);
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  before_fd("write", fd);
  return REAL(pwrite)(fd, data, size, at);
}
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t at) {
  before_fd("write", fd);
  return REAL(pwrite64)(fd, data, size, at);
}
ssize_t writev(int fd, const struct iovec* parts, int count) {
  before_fd("write", fd);
  return REAL(writev)(fd, parts, count);
}
ssize_t copy_file_range(int from, off64_t* from_at, int to, off64_t* to_at, size_t size, unsigned int flags) {
  before_fd("copy", to);
  return REAL(copy_file_range)(from, from_at, to, to_at, size, flags);
}
int fsync(int fd) {
  before_fd("sync", fd);
  return REAL(fsync)(fd);
}
int fdatasync(int fd) {
  before_fd("sync", fd);
  return REAL(fdatasync)(fd);
}
int ftruncate(int fd, off_t size) {
  before_fd("truncate", fd);
  return REAL(ftruncate)(fd, size);
}
int ftruncate64(int fd, off64_t size) {
  before_fd("truncate", fd);
  return REAL(ftruncate64)(fd, size);
}
int fchmod(int fd, mode_t mode) {
  before_fd("chmod", fd);
  return REAL(fchmod)(fd, mode);
}
int chmod(const char* path, mode_t mode) {
  before("chmod", path);
  return REAL(chmod)(path, mode);
}
int rename(const char* from, const char* to) {
  before("rename", to);
  return REAL(rename)(from, to);
}
int link(const char* from, const char* to) {
  before("link", to);
  return REAL(link)(from, to);
}
int unlink(const char* path) {
  before("unlink", path);
  return REAL(unlink)(path);
}
int unlinkat(int dir, const char* path, int flags) {
  before("unlink", path);
  return REAL(unlinkat)(dir, path, flags);
}
int rmdir(const char* path) {
  before("unlink", path);
  return REAL(rmdir)(path);
}
int mkdir(const char* path, mode_t mode) {
  before("mkdir", path);
  return REAL(mkdir)(path, mode);
}
char* mkdtemp(char* path) {
  before("mkdir", path);
  return REAL(mkdtemp)(path);
}
