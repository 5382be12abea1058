#include "addon/unix_fds.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "addon/arguments.h"
#include "common/unique_fd.h"

namespace swtpm::addon {
namespace {

// No protocol here passes more than one; the rest is room to notice a peer that does.
constexpr size_t kMaxFdsPerMessage = 4;

// socketPair() -> [fd, fd] or -errno. A connected SOCK_STREAM pair, both close-on-exec. The first is
// non-blocking, for the event loop; the second blocking, for the child that inherits it.
Napi::Value SocketPair(const Napi::CallbackInfo& info) {
  std::array<int, 2> ends;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) < 0) return SystemResult(info, -1);
  UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  // O_NONBLOCK belongs to the open file description, so each end has its own.
  if (fcntl(ours.get(), F_SETFL, O_RDWR | O_NONBLOCK) < 0) return SystemResult(info, -1);
  auto pair = Napi::Array::New(info.Env(), 2);
  pair.Set(0U, Napi::Number::New(info.Env(), ours.release()));
  pair.Set(1U, Napi::Number::New(info.Env(), theirs.release()));
  return pair;
}

// sendMessage(fd, bytes, offset, length, fds) -> bytes sent, possibly fewer than length, or -errno. The
// descriptors go with the first byte and have gone if the result is positive. A vanished peer is -EPIPE,
// never SIGPIPE. -EINVAL: nothing to send; -E2BIG: more than four descriptors.
Napi::Value SendMessage(const Napi::CallbackInfo& info) {
  const auto bytes = RangeArgument(info, 1);
  if (!bytes) return Result(info, -EINVAL);
  iovec part{bytes->data(), bytes->size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;

  alignas(cmsghdr) std::array<uint8_t, CMSG_SPACE(kMaxFdsPerMessage * sizeof(int))> control{};
  if (info[4].IsArray()) {
    const auto fds = info[4].As<Napi::Array>();
    const size_t count = fds.Length();
    if (count > kMaxFdsPerMessage) return Result(info, -E2BIG);
    std::array<int, kMaxFdsPerMessage> numbers{};
    for (uint32_t i = 0; i < count; i++) {
      const Napi::Value fd = fds[i];
      if (napi_get_value_int32(info.Env(), fd, &numbers[i]) != napi_ok) return Result(info, -EBADF);
    }
    if (count > 0) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(count * sizeof(int));
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(count * sizeof(int));
      memcpy(CMSG_DATA(header), numbers.data(), count * sizeof(int));
    }
  }

  const int fd = IntArgument(info, 0);
  ssize_t sent;
  do {
    sent = sendmsg(fd, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return SystemResult(info, sent);
}

// receiveMessage(fd, bytes, offset, length, receivedFds) -> bytes received, 0 at end of file, or -errno.
// Descriptors that came along are close-on-exec, appended to the array receivedFds and the caller's to close.
// They are those of one message at most, and nothing sent after it is in the same call, but bytes sent before
// it may be: hand descriptors to the frames that want one in the order they came. Where some could not be
// delivered (more than four, or no free number in this process) a -1 follows the others.
Napi::Value ReceiveMessage(const Napi::CallbackInfo& info) {
  const auto bytes = RangeArgument(info, 1);
  if (!bytes) return Result(info, -EINVAL);
  iovec part{bytes->data(), bytes->size()};
  alignas(cmsghdr) std::array<uint8_t, CMSG_SPACE(kMaxFdsPerMessage * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();

  const int fd = IntArgument(info, 0);
  ssize_t received;
  do {
    received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return SystemResult(info, received);

  // The descriptors are in this process's table now, whatever the caller does: own each until it is handed
  // on. What did not fit `control` (MSG_CTRUNC), the kernel has closed.
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int number;
      memcpy(&number, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      UniqueFd passed(number);
      if (!info[4].IsArray()) continue;
      auto out = info[4].As<Napi::Array>();
      if (out.Set(out.Length(), Napi::Number::New(info.Env(), number))) passed.release();
    }
  }
  return Result(info, received);
}

// duplicate(fd) -> another number, 3 or more and close-on-exec, for the same open file description; or
// -errno.
Napi::Value Duplicate(const Napi::CallbackInfo& info) {
  return SystemResult(info, fcntl(IntArgument(info, 0), F_DUPFD_CLOEXEC, 3));
}

// replace(target, fd) -> target or -errno. `target` becomes another number, inheritable, for the open file
// description of `fd`; what it was before is closed.
Napi::Value Replace(const Napi::CallbackInfo& info) {
  return SystemResult(info, dup2(IntArgument(info, 1), IntArgument(info, 0)));
}

// setCloseOnExec(fd, on) -> 0 or -errno. Concerns this descriptor number only, not its duplicates.
Napi::Value SetCloseOnExec(const Napi::CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  const int flags = fcntl(fd, F_GETFD);
  if (flags < 0) return SystemResult(info, flags);
  const int wanted = FlagArgument(info, 1) ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
  return SystemResult(info, fcntl(fd, F_SETFD, wanted));
}

// isCloseOnExec(fd) -> 1, 0 or -errno.
Napi::Value IsCloseOnExec(const Napi::CallbackInfo& info) {
  const int flags = fcntl(IntArgument(info, 0), F_GETFD);
  return SystemResult(info, flags < 0 ? flags : (flags & FD_CLOEXEC) != 0);
}

// setNonBlocking(fd, on) -> 0 or -errno. Concerns the open file description: every duplicate sees it, also
// those in other processes.
Napi::Value SetNonBlocking(const Napi::CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return SystemResult(info, flags);
  const int wanted = FlagArgument(info, 1) ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  return SystemResult(info, fcntl(fd, F_SETFL, wanted));
}

// isNonBlocking(fd) -> 1, 0 or -errno.
Napi::Value IsNonBlocking(const Napi::CallbackInfo& info) {
  const int flags = fcntl(IntArgument(info, 0), F_GETFL);
  return SystemResult(info, flags < 0 ? flags : (flags & O_NONBLOCK) != 0);
}

}  // namespace

void RegisterUnixFds(Napi::Env env, Napi::Object exports) {
  exports.Set("socketPair", Napi::Function::New<SocketPair>(env, "socketPair"));
  exports.Set("sendMessage", Napi::Function::New<SendMessage>(env, "sendMessage"));
  exports.Set("receiveMessage", Napi::Function::New<ReceiveMessage>(env, "receiveMessage"));
  exports.Set("duplicate", Napi::Function::New<Duplicate>(env, "duplicate"));
  exports.Set("replace", Napi::Function::New<Replace>(env, "replace"));
  exports.Set("setCloseOnExec", Napi::Function::New<SetCloseOnExec>(env, "setCloseOnExec"));
  exports.Set("isCloseOnExec", Napi::Function::New<IsCloseOnExec>(env, "isCloseOnExec"));
  exports.Set("setNonBlocking", Napi::Function::New<SetNonBlocking>(env, "setNonBlocking"));
  exports.Set("isNonBlocking", Napi::Function::New<IsNonBlocking>(env, "isNonBlocking"));
}

}  // namespace swtpm::addon
