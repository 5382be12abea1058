// What is linked into the engine to make it one that its guest has broken into: a TPM command with the code 0x20ee00NN does
// what NN says, inside the confined engine. The calls that the engine makes are wrapped by the linker (--wrap). Part of tests only;
// evil-engine.ts builds it, and has the commands.
#include <errno.h>
#include <fcntl.h>
#include <libtpms/tpm_error.h>
#include <libtpms/tpm_library.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <mutex>
#include <vector>

extern "C" {
TPM_RESULT __real_TPMLIB_Process(unsigned char**, uint32_t*, uint32_t*, unsigned char*, uint32_t);
ssize_t __real_sendmsg(int, const msghdr*, int);
ssize_t __real_recvmsg(int, msghdr*, int);
long __real_syscall(long, long, long, long, long, long, long);
void* __real_mmap64(void*, size_t, int, int, int, off_t);
}

namespace {

constexpr int kChannel = 3;
constexpr int kSharedState = 5;
constexpr uint32_t kReply = 2;
constexpr uint32_t kEvent = 3;
constexpr size_t kHeaderBytes = 12;
constexpr int kFdsAtOnce = 12;

enum Action : uint32_t { kSay = 1, kSayOften, kAnswer, kPassFds, kStay, kOpen, kPoke, kGo, kWrite, kLeave, kPrint, kGrow, kLook };

std::mutex g_mutex;
bool g_answers;
std::vector<uint8_t> g_answer;
bool g_stays;
uint8_t* g_shared;
size_t g_shared_size;

uint32_t be32(const uint8_t* at) {
  return uint32_t{at[0]} << 24 | uint32_t{at[1]} << 16 | uint32_t{at[2]} << 8 | at[3];
}

void put_be32(uint8_t* at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = static_cast<uint8_t>(value >> (24 - 8 * i));
}

void say(const uint8_t* bytes, size_t size, const int* fds = nullptr, int count = 0) {
  iovec iov{const_cast<uint8_t*>(bytes), size};
  alignas(cmsghdr) char control[CMSG_SPACE(kFdsAtOnce * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  if (count > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(static_cast<size_t>(count) * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(static_cast<size_t>(count) * sizeof(int));
    memcpy(CMSG_DATA(header), fds, static_cast<size_t>(count) * sizeof(int));
  }
  while (iov.iov_len > 0) {
    ssize_t n = __real_sendmsg(kChannel, &message, MSG_NOSIGNAL);
    if (n <= 0) return;
    iov.iov_base = static_cast<uint8_t*>(iov.iov_base) + n;
    iov.iov_len -= static_cast<size_t>(n);
    message.msg_control = nullptr;
    message.msg_controllen = 0;
  }
}

void* say_often(void* argument) {
  auto* bytes = static_cast<std::vector<uint8_t>*>(argument);
  uint32_t count = be32(bytes->data());
  for (uint32_t i = 0; i < count; i++) say(bytes->data() + 4, bytes->size() - 4);
  delete bytes;
  return nullptr;
}

[[noreturn]] void stay() {
  pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&held);
  for (;;) pthread_mutex_lock(&held);
}

// The result is what the caller sees as the response code.
uint32_t act(uint32_t action, const uint8_t* argument, size_t size) {
  switch (action) {
    case kSay:
      say(argument, size);
      return 0;
    case kSayOften: {
      pthread_t thread;
      auto* copy = new std::vector<uint8_t>(argument, argument + size);
      return static_cast<uint32_t>(pthread_create(&thread, nullptr, say_often, copy));
    }
    case kAnswer: {
      std::lock_guard lock(g_mutex);
      g_answer.assign(argument, argument + size);
      g_answers = true;
      return 0;
    }
    case kPassFds: {
      int fds[kFdsAtOnce];
      for (int& fd : fds) fd = kChannel;
      say(argument + 4, size - 4, fds, static_cast<int>(be32(argument)));
      return 0;
    }
    case kStay: {
      std::lock_guard lock(g_mutex);
      g_stays = true;
      return 0;
    }
    case kOpen: {
      char path[256] = {};
      memcpy(path, argument, size < sizeof(path) ? size : sizeof(path) - 1);
      long fd = syscall(SYS_openat, 4, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
      return fd < 0 ? static_cast<uint32_t>(errno) : 0;
    }
    case kPoke: {
      uint32_t offset = be32(argument);
      if (!g_shared || offset + size - 4 > g_shared_size) return EINVAL;
      memcpy(g_shared + offset, argument + 4, size - 4);
      return 0;
    }
    case kGo:
      _exit(argument[0]);
    case kLeave: {
      // The first half is looked for, the second takes its place; not in this command, which is there as well.
      size_t half = size / 2;
      uint8_t* last = nullptr;
      for (uint8_t* at = g_shared; (at = static_cast<uint8_t*>(memmem(
                                       at, static_cast<size_t>(g_shared + g_shared_size - at), argument, half)));
           at++)
        last = at;
      if (!last) return ENOENT;
      memcpy(last, argument + half, half);
      _exit(1);
    }
    case kWrite: {
      // What it serves has some number behind the descriptors that it has been started with.
      uint32_t error = EBADF;
      for (int fd = kSharedState + 1; fd < 32 && error != 0; fd++)
        if (fcntl(fd, F_GETFL) >= 0)
          error = write(fd, argument, size) < 0 ? static_cast<uint32_t>(errno) : 0;
      return error;
    }
    case kPrint: {
      uint32_t count = be32(argument);
      for (uint32_t i = 0; i < count; i++)
        if (write(2, argument + 4, size - 4) < 0) return static_cast<uint32_t>(errno);
      return 0;
    }
    case kGrow: {
      static const char zeros[1 << 16] = {};
      int fd = static_cast<int>(syscall(SYS_openat, 4, "filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
      ssize_t n = 0;
      while (fd >= 0 && (n = write(fd, zeros, sizeof(zeros))) > 0) {
      }
      return static_cast<uint32_t>(errno);
    }
    case kLook: {
      char path[256] = {};
      memcpy(path, argument, size < sizeof(path) ? size : sizeof(path) - 1);
      struct stat status;
      // As fstat(), but of a path.
      return syscall(SYS_newfstatat, 4, path, &status, AT_EMPTY_PATH) < 0 ? static_cast<uint32_t>(errno) : 0;
    }
    default:
      return ENOSYS;
  }
}

}  // namespace

extern "C" {

TPM_RESULT __wrap_TPMLIB_Process(unsigned char** response, uint32_t* response_size, uint32_t* capacity,
                                 unsigned char* command, uint32_t size) {
  constexpr uint32_t kTpmHeaderBytes = 10;
  if (size < kTpmHeaderBytes || (be32(command + 6) & 0xffffff00) != 0x20ee0000)
    return __real_TPMLIB_Process(response, response_size, capacity, command, size);
  uint32_t code = act(be32(command + 6) & 0xff, command + kTpmHeaderBytes, size - kTpmHeaderBytes);
  if (!*response || *capacity < kTpmHeaderBytes) {
    *response = static_cast<unsigned char*>(realloc(*response, 4096));
    *capacity = 4096;
  }
  put_be32(*response, 0x80010000);
  put_be32(*response + 2, kTpmHeaderBytes);
  put_be32(*response + 6, code);
  *response_size = kTpmHeaderBytes;
  return TPM_SUCCESS;
}

// Replies with other bytes than the engine's, where that was asked for.
ssize_t __wrap_sendmsg(int fd, const msghdr* message, int flags) {
  std::unique_lock lock(g_mutex);
  if (fd != kChannel || !g_answers || message->msg_iovlen == 0 ||
      message->msg_iov[0].iov_len != kHeaderBytes)
    return __real_sendmsg(fd, message, flags);
  const auto* header = static_cast<const uint8_t*>(message->msg_iov[0].iov_base);
  if (be32(header + 4) != kReply) return __real_sendmsg(fd, message, flags);
  std::vector<uint8_t> bytes(kHeaderBytes);
  memcpy(bytes.data(), header, kHeaderBytes);
  put_be32(bytes.data(), static_cast<uint32_t>(g_answer.size()));
  bytes.insert(bytes.end(), g_answer.begin(), g_answer.end());
  lock.unlock();
  say(bytes.data(), bytes.size());
  ssize_t all = 0;
  for (size_t i = 0; i < message->msg_iovlen; i++) all += static_cast<ssize_t>(message->msg_iov[i].iov_len);
  return all;
}

// The end of the channel, which asks the engine to end, is not heard by one that stays.
ssize_t __wrap_recvmsg(int fd, msghdr* message, int flags) {
  ssize_t n = __real_recvmsg(fd, message, flags);
#ifdef ENDS_AT_ATTACH
  constexpr uint32_t kAttach = 0x1001;
  const msghdr& got = *message;
  if (fd == kChannel && n >= 4 && be32(static_cast<const uint8_t*>(got.msg_iov[0].iov_base)) == kAttach)
    _exit(3);
#endif
  if (fd == kChannel && n <= 0) {
    bool stays;
    {
      std::lock_guard lock(g_mutex);
      stays = g_stays;
    }
    if (stays) stay();
  }
  return n;
}

// A kernel that has no Landlock, where that is asked for.
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f) {
#ifdef WITHOUT_LANDLOCK
  if (number == SYS_landlock_create_ruleset) {
    errno = ENOSYS;
    return -1;
  }
#endif
  return __real_syscall(number, a, b, c, d, e, f);
}

void* __wrap_mmap64(void* address, size_t size, int protection, int flags, int fd, off_t offset) {
  void* memory = __real_mmap64(address, size, protection, flags, fd, offset);
  if (fd == kSharedState && memory != MAP_FAILED) {
    g_shared = static_cast<uint8_t*>(memory);
    g_shared_size = size;
  }
  return memory;
}
}
