#include "bench/exchange.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "common/unique_fd.h"

namespace swtpm::bench {
namespace {

constexpr size_t kBufferSizeBytes = 8192;
constexpr size_t kTpmHeaderSizeBytes = 10;

class DescriptorExchange : public Exchange {
 public:
  explicit DescriptorExchange(UniqueFd fd) : fd_(std::move(fd)) {}

  void send(ByteView command) override {
    if (::write(fd_.get(), command.data(), command.size()) != static_cast<ssize_t>(command.size()))
      fail("Cannot send a command");
  }

  // A device gives a response in one piece, and so does a control channel, whose answers carry no size.
  ByteView receive() override { return {buffer_.data(), read_to(0)}; }

  void control(unsigned long request, std::span<uint8_t> argument) override {
    if (::ioctl(fd_.get(), request, argument.data()) < 0) fail("ioctl 0x%lx", request);
  }

 protected:
  size_t read_to(size_t offset) {
    ssize_t n = ::read(fd_.get(), buffer_.data() + offset, buffer_.size() - offset);
    if (n < 0) fail("Cannot read a response");
    if (n == 0) {
      errno = 0;
      fail("The TPM has closed the connection");
    }
    return static_cast<size_t>(n);
  }

  UniqueFd fd_;
  std::array<uint8_t, kBufferSizeBytes> buffer_;
};

class StreamExchange : public DescriptorExchange {
 public:
  using DescriptorExchange::DescriptorExchange;

  ByteView receive() override {
    size_t have = read_to(0);
    while (have < kTpmHeaderSizeBytes || have < load_be32(&buffer_[2])) have += read_to(have);
    return {buffer_.data(), have};
  }
};

UniqueFd connect_socket(const sockaddr* address, socklen_t size, const std::string& name) {
  UniqueFd fd(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.get(), address, size) < 0) fail("Cannot connect to %s", name.c_str());
  return fd;
}

UniqueFd connect_unix(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof(address.sun_path)) fail("The path %s is too long for a socket", path.c_str());
  path.copy(address.sun_path, path.size());
  return connect_socket(reinterpret_cast<sockaddr*>(&address), sizeof(address), path);
}

UniqueFd connect_tcp(const std::string& port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(atoi(port.c_str())));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  UniqueFd fd = connect_socket(reinterpret_cast<sockaddr*>(&address), sizeof(address), "port " + port);
  int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return fd;
}

UniqueFd open_device(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) fail("Cannot open %s", path.c_str());
  return fd;
}

}  // namespace

void fail(const char* format, ...) {
  int reason = errno;
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  if (reason != 0) fprintf(stderr, ": %s", strerror(reason));
  fputc('\n', stderr);
  exit(1);
}

void Exchange::control(unsigned long request, std::span<uint8_t>) {
  errno = ENOTTY;
  fail("ioctl 0x%lx", request);
}

std::unique_ptr<Exchange> connect_to(std::string_view address) {
  std::string kind(address.substr(0, address.find(':')));
  std::string place(address.substr(std::min(address.size(), kind.size() + 1)));
  if (kind == "unix") return std::make_unique<StreamExchange>(connect_unix(place));
  if (kind == "tcp") return std::make_unique<StreamExchange>(connect_tcp(place));
  if (kind == "control") return std::make_unique<DescriptorExchange>(connect_unix(place));
  if (kind == "device") return std::make_unique<DescriptorExchange>(open_device(place));
  if (kind == "direct") {
    size_t comma = place.find(',');
    return direct_exchange(place[0] == '2', comma == std::string::npos ? "" : place.substr(comma + 1));
  }
  errno = 0;
  fail("No such kind of address: %s", kind.c_str());
}

}  // namespace swtpm::bench
