#include "addon/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "addon/arguments.h"
#include "common/unique_fd.h"

namespace swtpm::addon {
namespace {

// An address of any family, with its length.
struct Address {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  template <typename Specific>
  Specific* as() {
    length = sizeof(Specific);
    return reinterpret_cast<Specific*>(&storage);
  }
};

// Linux creates the file with the mode of the socket's own inode, reduced by the umask: with both set, the
// file has its mode from the first moment on. chmod() afterwards would leave a moment in between, and one
// that does not follow links (fchmodat() with AT_SYMLINK_NOFOLLOW) needs /proc, or Linux 6.6. All threads
// share the umask; none makes files meanwhile.
int BindWithMode(int fd, Address& address, int mode) {
  if (mode < 0) return bind(fd, address.get(), address.length);
  if (fchmod(fd, static_cast<mode_t>(mode)) < 0) return -1;
  const mode_t before = umask(~static_cast<mode_t>(mode) & 0777);
  const int result = bind(fd, address.get(), address.length);
  const int error = errno;
  umask(before);
  errno = error;
  return result;
}

// If the file has been replaced by a symbolic link meanwhile, the link is not followed.
int OwnAndCorrect(const char* path, int mode, int uid, int gid) {
  if ((uid != -1 || gid != -1) &&
      fchownat(AT_FDCWD, path, static_cast<uid_t>(uid), static_cast<gid_t>(gid), AT_SYMLINK_NOFOLLOW) < 0) {
    return -1;
  }
  struct stat status;
  if (mode < 0 || (fstatat(AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                   (status.st_mode & 07777) == static_cast<mode_t>(mode))) {
    return 0;
  }
  // The directory has a default ACL, which has taken rights away. Without /proc it stays so.
  const int result = fchmodat(AT_FDCWD, path, static_cast<mode_t>(mode), AT_SYMLINK_NOFOLLOW);
  return result < 0 && errno == EOPNOTSUPP ? 0 : result;
}

Napi::Value ListenUnix(const Napi::CallbackInfo& info) {
  const auto path = TextArgument(info, 0);
  const int mode = IntArgument(info, 1);
  if (!path || path->empty()) return Result(info, -EINVAL);
  Address address;
  auto* unix_address = address.as<sockaddr_un>();
  if (path->size() >= sizeof(unix_address->sun_path)) return Result(info, -ENAMETOOLONG);
  unix_address->sun_family = AF_UNIX;
  memcpy(unix_address->sun_path, path->c_str(), path->size() + 1);

  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd || BindWithMode(fd.get(), address, mode) < 0) return SystemResult(info, -1);
  // Its owner and mode are right before listen() lets clients connect.
  if (OwnAndCorrect(path->c_str(), mode, IntArgument(info, 3, -1), IntArgument(info, 4, -1)) < 0 ||
      listen(fd.get(), IntArgument(info, 2, 1)) < 0) {
    const int error = errno;
    unlink(path->c_str());
    return Result(info, -error);
  }
  return Result(info, fd.release());
}

// A Unix socket.
Napi::Value Connect(const Napi::CallbackInfo& info, int type) {
  const auto name = TextArgument(info, 0);
  if (!name || name->empty()) return Result(info, -EINVAL);
  Address address;
  auto* unix_address = address.as<sockaddr_un>();
  if (name->size() >= sizeof(unix_address->sun_path)) return Result(info, -ENAMETOOLONG);
  unix_address->sun_family = AF_UNIX;
  memcpy(unix_address->sun_path, name->c_str(), name->size() + 1);
  if (type == SOCK_DGRAM && name->front() == '@') {
    // An abstract name is as long as the address says and has a NUL in front, none at its end.
    unix_address->sun_path[0] = '\0';
    address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name->size());
  }
  UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd || connect(fd.get(), address.get(), address.length) < 0) return SystemResult(info, -1);
  return Result(info, fd.release());
}

Napi::Value ConnectDatagram(const Napi::CallbackInfo& info) {
  return Connect(info, SOCK_DGRAM);
}

Napi::Value ConnectUnix(const Napi::CallbackInfo& info) {
  return Connect(info, SOCK_STREAM);
}

Napi::Value ListenTcp(const Napi::CallbackInfo& info) {
  const auto text = TextArgument(info, 0);
  const int port = IntArgument(info, 1);
  const auto interface = TextArgument(info, 2);
  if (!text || !interface || port < 0 || port > 0xffff) return Result(info, -EINVAL);

  Address address;
  in_addr ipv4;
  in6_addr ipv6;
  if (inet_pton(AF_INET, text->c_str(), &ipv4) == 1) {
    auto* inet = address.as<sockaddr_in>();
    inet->sin_family = AF_INET;
    inet->sin_port = htons(static_cast<uint16_t>(port));
    inet->sin_addr = ipv4;
  } else if (inet_pton(AF_INET6, text->c_str(), &ipv6) == 1) {
    auto* inet6 = address.as<sockaddr_in6>();
    inet6->sin6_family = AF_INET6;
    inet6->sin6_port = htons(static_cast<uint16_t>(port));
    inet6->sin6_addr = ipv6;
    if (!interface->empty()) {
      inet6->sin6_scope_id = if_nametoindex(interface->c_str());
      if (inet6->sin6_scope_id == 0) return Result(info, -ENODEV);
    }
  } else {
    return Result(info, -EINVAL);
  }

  const int family = address.storage.ss_family;
  UniqueFd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return SystemResult(info, -1);
  const int on = 1;
  const int off = 0;
  if (setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
      (family == AF_INET6 && setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0) ||
      bind(fd.get(), address.get(), address.length) < 0 || listen(fd.get(), IntArgument(info, 3, 1)) < 0) {
    return SystemResult(info, -1);
  }
  return Result(info, fd.release());
}

Napi::Value Accept(const Napi::CallbackInfo& info) {
  const int listener = IntArgument(info, 0);
  const int flags = SOCK_CLOEXEC | (FlagArgument(info, 1) ? SOCK_NONBLOCK : 0);
  int connection;
  do {
    connection = accept4(listener, nullptr, nullptr, flags);
  } while (connection < 0 && (errno == EINTR || errno == ECONNABORTED));
  return SystemResult(info, connection);
}

}  // namespace

void RegisterSockets(Napi::Env env, Napi::Object exports) {
  exports.Set("listenUnix", Napi::Function::New<ListenUnix>(env, "listenUnix"));
  exports.Set("connectUnix", Napi::Function::New<ConnectUnix>(env, "connectUnix"));
  exports.Set("connectDatagram", Napi::Function::New<ConnectDatagram>(env, "connectDatagram"));
  exports.Set("listenTcp", Napi::Function::New<ListenTcp>(env, "listenTcp"));
  exports.Set("accept", Napi::Function::New<Accept>(env, "accept"));
}

}  // namespace swtpm::addon
