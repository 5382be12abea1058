/* Preloaded into tpm-engine by the tests: writes down what the engine does to its state, in one order with
 * the responses it gives, and lets single operations fail.
 *
 * Both through one file, mapped before main(), so that nothing here makes a system call that the sandbox
 * denies: what is recorded is the engine as it is, filter and all. Layout of the file: disk-shim.ts.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum op {
  OP_OPEN = 1, /* for reading */
  OP_CREATE,
  OP_WRITE,
  OP_READ,
  OP_SYNC_FILE,
  OP_SYNC_DIRECTORY,
  OP_TRUNCATE,
  OP_RENAME,
  OP_UNLINK,
  OP_LINK,
  OP_CLOSE,
  OP_RESPOND,
};

struct record {
  uint32_t size, op;
  int32_t fd, result;
  uint64_t offset;
  uint32_t text_size, data_size;
};

struct rule {
  uint32_t op;
  int32_t error; /* 0: do at most `limit` bytes of it */
  uint32_t skip, count, hits, limit;
};

#define RULES 8
struct control {
  uint64_t used; /* bytes of records */
  uint32_t recording, lock;
  uint8_t pad[48];
  struct rule rules[RULES];
};

#define LOG_START 4096
#define STATE_FD 4
#define FDS 64

static struct control* control;
static size_t mapped;
static uint8_t is_state_file[FDS];
static uint8_t syncs_every_write[FDS]; /* O_DSYNC */

#define REAL(type, name, ...) static type (*real_##name)(__VA_ARGS__)
REAL(int, openat64, int, const char*, int, ...);
REAL(int, close, int);
REAL(ssize_t, read, int, void*, size_t);
REAL(ssize_t, write, int, const void*, size_t);
REAL(ssize_t, sendmsg, int, const struct msghdr*, int);
REAL(ssize_t, pread64, int, void*, size_t, off64_t);
REAL(ssize_t, pwrite64, int, const void*, size_t, off64_t);
REAL(int, fsync, int);
REAL(int, ftruncate64, int, off64_t);
REAL(int, renameat, int, const char*, int, const char*);
REAL(int, unlinkat, int, const char*, int);
REAL(int, linkat, int, const char*, int, const char*, int);

__attribute__((constructor)) static void begin(void) {
#define RESOLVE(name) real_##name = (__typeof__(real_##name))dlsym(RTLD_NEXT, #name)
  RESOLVE(openat64);
  RESOLVE(close);
  RESOLVE(read);
  RESOLVE(write);
  RESOLVE(sendmsg);
  RESOLVE(pread64);
  RESOLVE(pwrite64);
  RESOLVE(fsync);
  RESOLVE(ftruncate64);
  RESOLVE(renameat);
  RESOLVE(unlinkat);
  RESOLVE(linkat);
  const char* path = getenv("DISK_SHIM");
  if (!path) return;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) < 0) abort();
  mapped = (size_t)st.st_size;
  void* map = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  real_close(fd);
  if (map == MAP_FAILED) abort();
  control = map;
}

/* The state is there only after the spawner, in which this was loaded, has forked. */
static int is_state_directory(int fd) {
  struct stat st;
  /* What the C library makes of fstat() the engine may not use. */
  return fd == STATE_FD && syscall(SYS_fstat, fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static int is_state(int fd) {
  if (!control) return 0;
  if (fd == STATE_FD) return 1;
  return fd >= 0 && fd < FDS && is_state_file[fd];
}

static void lock(void) {
  while (__atomic_exchange_n(&control->lock, 1, __ATOMIC_ACQUIRE)) {
  }
}
static void unlock(void) {
  __atomic_store_n(&control->lock, 0, __ATOMIC_RELEASE);
}

static void put(uint8_t** to, const void* from, size_t size) {
  memcpy(*to, from, size);
  *to += size;
}

static void record(enum op op, int fd, int result, uint64_t offset, const char* text, const char* text2,
                   const struct iovec* iov, int count) {
  if (!control || !control->recording) return;
  int saved = errno;
  size_t text_size = text ? strlen(text) + 1 : 0;
  size_t text2_size = text2 ? strlen(text2) + 1 : 0;
  size_t data_size = 0;
  for (int i = 0; i < count; i++) data_size += iov[i].iov_len;
  size_t size = (sizeof(struct record) + text_size + text2_size + data_size + 7) & ~(size_t)7;
  lock();
  if (LOG_START + control->used + size > mapped) abort();
  uint8_t* at = (uint8_t*)control + LOG_START + control->used;
  struct record head = {(uint32_t)size,     op, fd, result, offset, (uint32_t)(text_size + text2_size),
                        (uint32_t)data_size};
  put(&at, &head, sizeof(head));
  put(&at, text, text_size);
  put(&at, text2, text2_size);
  for (int i = 0; i < count; i++) put(&at, iov[i].iov_base, iov[i].iov_len);
  control->used += size;
  unlock();
  errno = saved;
}

/* Whether this operation is to fail, with errno set; or how many bytes of it are to be done. */
static int fails(enum op op, size_t* limit) {
  for (int i = 0; i < RULES; i++) {
    struct rule* rule = &control->rules[i];
    if (rule->op != op || rule->count == 0) continue;
    if (rule->skip > 0) {
      rule->skip--;
      continue;
    }
    if (rule->count != UINT32_MAX) rule->count--;
    rule->hits++;
    if (rule->error) {
      errno = rule->error;
      return 1;
    }
    if (limit && *limit > rule->limit) *limit = rule->limit;
    return 0;
  }
  return 0;
}

int openat64(int dir, const char* name, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  if (!is_state(dir)) return real_openat64(dir, name, flags, mode);
  enum op op = flags & O_CREAT ? OP_CREATE : OP_OPEN;
  if (fails(op, NULL)) return -1;
  int fd = real_openat64(dir, name, flags, mode);
  if (fd >= 0 && fd < FDS) {
    is_state_file[fd] = 1;
    syncs_every_write[fd] = (flags & O_DSYNC) != 0;
  }
  if (fd >= 0) record(op, dir, fd, 0, name, NULL, NULL, 0);
  return fd;
}

int close(int fd) {
  if (is_state(fd) && fd != STATE_FD) {
    record(OP_CLOSE, fd, 0, 0, NULL, NULL, NULL, 0);
    is_state_file[fd] = 0;
  }
  return real_close(fd);
}

ssize_t read(int fd, void* data, size_t size) {
  if (is_state(fd) && fails(OP_READ, &size)) return -1;
  return real_read(fd, data, size);
}

ssize_t pread64(int fd, void* data, size_t size, off64_t offset) {
  if (is_state(fd) && fails(OP_READ, &size)) return -1;
  return real_pread64(fd, data, size, offset);
}

/* Returns what the call is to return: of a write with O_DSYNC, the sync is a step of its own, and may fail. */
static ssize_t written(int fd, const void* data, ssize_t done, uint64_t offset) {
  if (done <= 0) return done;
  struct iovec iov = {(void*)data, (size_t)done};
  record(OP_WRITE, fd, (int)done, offset, NULL, NULL, &iov, 1);
  if (fd >= FDS || !syncs_every_write[fd]) return done;
  if (fails(OP_SYNC_FILE, NULL)) return -1;
  record(OP_SYNC_FILE, fd, 0, 0, NULL, NULL, NULL, 0);
  return done;
}

/* A response is recorded before it is done: from the first byte on, the client may believe it. */
ssize_t write(int fd, const void* data, size_t size) {
  if (!is_state(fd)) {
    struct iovec iov = {(void*)data, size};
    if (fd > STDERR_FILENO) record(OP_RESPOND, fd, 0, 0, NULL, NULL, &iov, 1);
    return real_write(fd, data, size);
  }
  if (fails(OP_WRITE, &size)) return -1;
  return written(fd, data, real_write(fd, data, size), UINT64_MAX);
}

ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  if (!is_state(fd)) return real_pwrite64(fd, data, size, offset);
  if (fails(OP_WRITE, &size)) return -1;
  return written(fd, data, real_pwrite64(fd, data, size, offset), (uint64_t)offset);
}

ssize_t sendmsg(int fd, const struct msghdr* message, int flags) {
  record(OP_RESPOND, fd, 0, 0, NULL, NULL, message->msg_iov, (int)message->msg_iovlen);
  return real_sendmsg(fd, message, flags);
}

int fsync(int fd) {
  if (!is_state(fd)) return real_fsync(fd);
  enum op op = is_state_directory(fd) ? OP_SYNC_DIRECTORY : OP_SYNC_FILE;
  if (fails(op, NULL)) return -1;
  int result = real_fsync(fd);
  if (result == 0) record(op, fd, 0, 0, NULL, NULL, NULL, 0);
  return result;
}

int ftruncate64(int fd, off64_t size) {
  if (is_state(fd) && fails(OP_TRUNCATE, NULL)) return -1;
  int result = real_ftruncate64(fd, size);
  if (result == 0 && is_state(fd)) record(OP_TRUNCATE, fd, 0, (uint64_t)size, NULL, NULL, NULL, 0);
  return result;
}

int renameat(int from_dir, const char* from, int to_dir, const char* to) {
  if (is_state(from_dir) && fails(OP_RENAME, NULL)) return -1;
  int result = real_renameat(from_dir, from, to_dir, to);
  if (result == 0) record(OP_RENAME, from_dir, 0, 0, from, to, NULL, 0);
  return result;
}

int unlinkat(int dir, const char* name, int flags) {
  if (is_state(dir) && fails(OP_UNLINK, NULL)) return -1;
  int result = real_unlinkat(dir, name, flags);
  if (result == 0) record(OP_UNLINK, dir, 0, 0, name, NULL, NULL, 0);
  return result;
}

int linkat(int from_dir, const char* from, int to_dir, const char* to, int flags) {
  if (is_state(from_dir) && fails(OP_LINK, NULL)) return -1;
  int result = real_linkat(from_dir, from, to_dir, to, flags);
  if (result == 0) record(OP_LINK, from_dir, 0, 0, from, to, NULL, 0);
  return result;
}
