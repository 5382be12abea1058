// Preloaded into Node: records the calls of the C library with which a program starts, or makes one of them fail.
//
// Only calls of the main thread count, from the moment on at which the launcher looks for the code cache: what comes before is
// Node's own start. In the environment:
//   FAILING_PROGRAM  which of the programs that inherit this is meant, "swtpm" for one
//   FAILING_RECORD   a file for a line per call: name, how often it has been called, path, separated by tabs
//   FAILING_CALL     NAME COUNT ERRNO: the call that fails, once
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real_of(#name))

static void *real_of(const char *name) { return dlsym(RTLD_NEXT, name); }

static int meant = -1;
// The process in which calls count, not one that it forks. 0: none yet.
static pid_t armed = 0;
static int record = -1;
static char fail_name[32];
static int fail_count = 0;
static int fail_errno = 0;

static int ends_with(const char *text, const char *end) {
  size_t length = strlen(text), tail = strlen(end);
  return length >= tail && strcmp(text + length - tail, end) == 0;
}

// The program's name: that of the script.
static int is_meant(void) {
  const char *wanted = getenv("FAILING_PROGRAM");
  char line[4096];
  if (wanted == NULL) return 0;
  int fd = REAL(open64)("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? 0 : REAL(read)(fd, line, sizeof(line) - 1);
  if (fd >= 0) close(fd);
  if (n <= 0) return 0;
  line[n] = 0;
  for (char *word = line + strlen(line) + 1; word < line + n; word += strlen(word) + 1) {
    if (word[0] == '-') continue;
    char *slash = strrchr(word, '/');
    char name[64];
    snprintf(name, sizeof(name), "%s", slash ? slash + 1 : word);
    char *end = strrchr(name, '.');
    if (end != NULL && strcmp(end, ".js") == 0) *end = 0;
    return strcmp(name, wanted) == 0;
  }
  return 0;
}

static void arm(void) {
  if (meant < 0) meant = is_meant();
  if (!meant || armed) return;
  const char *call = getenv("FAILING_CALL");
  const char *file = getenv("FAILING_RECORD");
  if (call != NULL) sscanf(call, "%31s %d %d", fail_name, &fail_count, &fail_errno);
  if (file != NULL)
    record = fcntl64(REAL(open64)(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666), F_DUPFD_CLOEXEC, 900);
  armed = getpid();
}

// Whether this call is to fail.
static int fails(const char *name, const char *path) {
  struct counter { const char *name; int count; };
  static struct counter counters[64];
  if (!armed || armed != (pid_t)syscall(SYS_gettid)) return 0;
  int i = 0;
  while (counters[i].name != NULL && strcmp(counters[i].name, name) != 0) i++;
  counters[i].name = name;
  int count = ++counters[i].count;
  if (record >= 0) {
    char line[4400];
    int n = snprintf(line, sizeof(line), "%s\t%d\t%s\n", name, count, path ? path : "");
    if (REAL(write)(record, line, n) < 0) _exit(99);
  }
  if (count != fail_count || strcmp(name, fail_name) != 0) return 0;
  errno = fail_errno;
  return 1;
}

static const char *of_fd(int fd) {
  static char path[4096];
  char link[64];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  ssize_t n = REAL(readlink)(link, path, sizeof(path) - 1);
  path[n < 0 ? 0 : n] = 0;
  return path;
}

static const char *of_address(const struct sockaddr *address) {
  return address->sa_family == AF_UNIX ? ((const struct sockaddr_un *)address)->sun_path : "";
}

int open64(const char *path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  mode_t mode = va_arg(list, mode_t);
  va_end(list);
  if (!armed && ends_with(path, ".cache")) arm();
  else if (fails("open", path)) return -1;
  return REAL(open64)(path, flags, mode);
}

long syscall(long number, ...) {
  long a[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
  va_end(list);
  if (number == SYS_statx && ((const char *)a[1])[0] != 0 && fails("stat", (const char *)a[1])) return -1;
  if (number == SYS_seccomp && fails("seccomp", NULL)) return -1;
  return ((long (*)(long, ...))real_of("syscall"))(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int fcntl64(int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  void *argument = va_arg(list, void *);
  va_end(list);
  if (command == F_SETLK && fails("lock", of_fd(fd))) return -1;
  if (command == F_DUPFD_CLOEXEC && fails("duplicate", of_fd(fd))) return -1;
  return ((int (*)(int, int, ...))real_of("fcntl64"))(fd, command, argument);
}

// Of ioctls, what asks the kernel for a device (linux/vtpm_proxy.h).
int ioctl(int fd, unsigned long request, ...) {
  va_list list;
  va_start(list, request);
  void *argument = va_arg(list, void *);
  va_end(list);
  if (_IOC_TYPE(request) == 0xa1 && fails("ioctl", of_fd(fd))) return -1;
  return REAL(ioctl)(fd, request, argument);
}

int prctl(int option, ...) {
  unsigned long a[4];
  va_list list;
  va_start(list, option);
  for (int i = 0; i < 4; i++) a[i] = va_arg(list, unsigned long);
  va_end(list);
  if (option != PR_CAPBSET_READ && fails("prctl", NULL)) return -1;
  return REAL(prctl)(option, a[0], a[1], a[2], a[3]);
}

static int is_device(int fd) {
  struct stat status;
  return fd > 2 && fstat(fd, &status) == 0 && S_ISCHR(status.st_mode);
}

ssize_t write(int fd, const void *bytes, size_t size) {
  struct stat status;
  // Not a message on standard error, nor what Node writes to wake itself up.
  if (armed && fd != 2 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && fails("write", of_fd(fd))) return -1;
  if (armed && is_device(fd) && fails("write-to-device", of_fd(fd))) return -1;
  return REAL(write)(fd, bytes, size);
}

char *mkdtemp(char *pattern) {
  return fails("mkdtemp", pattern) ? NULL : REAL(mkdtemp)(pattern);
}

int scandir64(const char *path, struct dirent64 ***names, int (*filter)(const struct dirent64 *),
              int (*compare)(const struct dirent64 **, const struct dirent64 **)) {
  return fails("scandir", path) ? -1 : REAL(scandir64)(path, names, filter, compare);
}

char *getcwd(char *buffer, size_t size) {
  return fails("getcwd", NULL) ? NULL : REAL(getcwd)(buffer, size);
}

ssize_t readlink(const char *path, char *buffer, size_t size) {
  return fails("readlink", path) ? -1 : REAL(readlink)(path, buffer, size);
}

// A call that fails by -1: its name in the record, its path.
#define CALL(label, path_of_call, name, parameters, ...) \
  int name parameters { return fails(label, path_of_call) ? -1 : REAL(name)(__VA_ARGS__); }

CALL("access", path, access, (const char *path, int mode), path, mode)
CALL("mkdir", path, mkdir, (const char *path, mode_t mode), path, mode)
CALL("rename", to, rename, (const char *from, const char *to), from, to)
CALL("unlink", path, unlink, (const char *path), path)
CALL("rmdir", path, rmdir, (const char *path), path)
CALL("chmod", path, chmod, (const char *path, mode_t mode), path, mode)
CALL("chown", path, lchown, (const char *path, uid_t uid, gid_t gid), path, uid, gid)
CALL("chown", path, fchownat, (int folder, const char *path, uid_t uid, gid_t gid, int flags), folder, path, uid, gid, flags)
CALL("chmod", path, fchmodat, (int folder, const char *path, mode_t mode, int flags), folder, path, mode, flags)
CALL("fchmod", of_fd(fd), fchmod, (int fd, mode_t mode), fd, mode)
CALL("fsync", of_fd(fd), fsync, (int fd), fd)
CALL("ftruncate", of_fd(fd), ftruncate64, (int fd, off64_t size), fd, size)
CALL("flock", of_fd(fd), flock, (int fd, int operation), fd, operation)
CALL("statfs", path, statfs64, (const char *path, struct statfs64 *result), path, result)
CALL("socket", NULL, socket, (int domain, int type, int protocol), domain, type, protocol)
CALL("socketpair", NULL, socketpair, (int domain, int type, int protocol, int fds[2]), domain, type, protocol, fds)
CALL("pipe", NULL, pipe2, (int fds[2], int flags), fds, flags)
CALL("memfd", NULL, memfd_create, (const char *name, unsigned int flags), name, flags)
CALL("fork", NULL, fork, (void))
CALL("bind", of_address(address), bind, (int fd, const struct sockaddr *address, socklen_t size), fd, address, size)
CALL("listen", NULL, listen, (int fd, int backlog), fd, backlog)
CALL("connect", of_address(address), connect, (int fd, const struct sockaddr *address, socklen_t size), fd, address, size)
CALL("chroot", path, chroot, (const char *path), path)
CALL("setgroups", NULL, setgroups, (size_t count, const gid_t *groups), count, groups)
CALL("setresgid", NULL, setresgid, (gid_t real, gid_t effective, gid_t saved), real, effective, saved)
CALL("setresuid", NULL, setresuid, (uid_t real, uid_t effective, uid_t saved), real, effective, saved)
