#include "addon/unix_fds.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "addon/arguments.h"
#include "common/eintr.h"
#include "common/passed_fds.h"
#include "common/unique_fd.h"

namespace swtpm::addon {
namespace {

// REST and WAKE pass as many; on the engine channel SPAWN passes three, ATTACH two, every other message at
// most one.
constexpr size_t kMaxFdsPerMessage = 12;

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

Napi::Value SendMessage(const Napi::CallbackInfo& info) {
  const auto bytes = RangeArgument(info, 1);
  if (!bytes) return Result(info, -EINVAL);
  iovec part{bytes->data(), bytes->size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;

  PassedFds<kMaxFdsPerMessage> passed;
  if (info[4].IsArray()) {
    const auto fds = info[4].As<Napi::Array>();
    const size_t count = fds.Length();
    if (count > kMaxFdsPerMessage) return Result(info, -E2BIG);
    std::array<int, kMaxFdsPerMessage> numbers{};
    for (uint32_t i = 0; i < count; i++) {
      const Napi::Value fd = fds[i];
      if (napi_get_value_int32(info.Env(), fd, &numbers[i]) != napi_ok) return Result(info, -EBADF);
    }
    passed.send_with(message, numbers.data(), count);
  }

  const int fd = IntArgument(info, 0);
  return SystemResult(info, no_eintr([&] { return sendmsg(fd, &message, MSG_NOSIGNAL); }));
}

Napi::Value ReceiveMessage(const Napi::CallbackInfo& info) {
  const auto bytes = RangeArgument(info, 1);
  if (!bytes) return Result(info, -EINVAL);
  iovec part{bytes->data(), bytes->size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  PassedFds<kMaxFdsPerMessage> passed;
  passed.receive_with(message);

  const int fd = IntArgument(info, 0);
  const ssize_t received = no_eintr([&] { return recvmsg(fd, &message, MSG_CMSG_CLOEXEC); });
  if (received < 0) return SystemResult(info, received);

  // They are open in this process now, whatever the caller does: own each until the array has it.
  passed.take_from(message, [&](int number) {
    UniqueFd owned(number);
    if (!info[4].IsArray()) return;
    auto out = info[4].As<Napi::Array>();
    if (out.Set(out.Length(), Napi::Number::New(info.Env(), number))) owned.release();
  });
  return Result(info, received);
}

Napi::Value Duplicate(const Napi::CallbackInfo& info) {
  return SystemResult(info, fcntl(IntArgument(info, 0), F_DUPFD_CLOEXEC, 3));
}

Napi::Value Replace(const Napi::CallbackInfo& info) {
  return SystemResult(info, dup2(IntArgument(info, 1), IntArgument(info, 0)));
}

Napi::Value SetCloseOnExec(const Napi::CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  const int flags = fcntl(fd, F_GETFD);
  if (flags < 0) return SystemResult(info, flags);
  const int wanted = FlagArgument(info, 1) ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
  return SystemResult(info, fcntl(fd, F_SETFD, wanted));
}

Napi::Value SetNonBlocking(const Napi::CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return SystemResult(info, flags);
  const int wanted = FlagArgument(info, 1) ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  return SystemResult(info, fcntl(fd, F_SETFL, wanted));
}

}  // namespace

void RegisterUnixFds(Napi::Env env, Napi::Object exports) {
  exports.Set("socketPair", Napi::Function::New<SocketPair>(env, "socketPair"));
  exports.Set("sendMessage", Napi::Function::New<SendMessage>(env, "sendMessage"));
  exports.Set("receiveMessage", Napi::Function::New<ReceiveMessage>(env, "receiveMessage"));
  exports.Set("duplicate", Napi::Function::New<Duplicate>(env, "duplicate"));
  exports.Set("replace", Napi::Function::New<Replace>(env, "replace"));
  exports.Set("setCloseOnExec", Napi::Function::New<SetCloseOnExec>(env, "setCloseOnExec"));
  exports.Set("setNonBlocking", Napi::Function::New<SetNonBlocking>(env, "setNonBlocking"));
}

}  // namespace swtpm::addon
