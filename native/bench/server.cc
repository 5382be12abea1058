// bench-server unix:PATH | tcp:PORT | cuse:NAME | vtpm-proxy [VERSION[,FILE]]: what a transport costs, by one
// read() and one write().
//
// With a version (see connect_to()) libtpms answers the commands, and nothing else happens to them: no lock,
// no storage, no filter. Without one, every command gets the same response, that of GetRandom(8): an echo.
// The vTPM proxy's driver wants a TPM before it makes a device: there libtpms answers everything but
// GetRandom. Prints "ready" when it serves; for a device, "ready /dev/NAME".
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/vtpm_proxy.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "bench/exchange.h"
#include "common/unique_fd.h"

namespace swtpm::bench {
namespace {

constexpr uint8_t kResponse[20] = {0x80, 0x01, 0, 0, 0, 20, 0, 0, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8};
constexpr uint32_t kGetRandom = 0x17b;
constexpr size_t kMaxWriteBytes = 64 * 1024;

void ready(const std::string& where = "") {
  printf("ready %s\n", where.c_str());
  fflush(stdout);
}

void write_whole(int fd, ByteView bytes) {
  if (::write(fd, bytes.data(), bytes.size()) < 0 && errno != EPIPE && errno != EIO && errno != ENOENT)
    fail("Cannot answer");
}

// How commands are answered.
class Tpm {
 public:
  // What follows "direct:" in an address; empty for an echo.
  explicit Tpm(const std::string& which) {
    if (!which.empty()) libtpms_ = connect_to("direct:" + which);
  }

  // Valid until the next call.
  ByteView answer(ByteView command) {
    if (!libtpms_) return kResponse;
    libtpms_->send(command);
    return libtpms_->receive();
  }

  bool echoes() const { return !libtpms_; }

 private:
  std::unique_ptr<Exchange> libtpms_;
};

void serve_clients(UniqueFd listener, Tpm tpm) {
  if (::listen(listener.get(), 1) < 0) fail("Cannot listen");
  ready();
  while (true) {
    UniqueFd client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client) fail("Cannot accept a client");
    uint8_t command[4096];
    for (ssize_t n; (n = ::read(client.get(), command, sizeof(command))) > 0;)
      write_whole(client.get(), tpm.answer({command, static_cast<size_t>(n)}));
  }
}

void serve_unix(const std::string& path, Tpm tpm) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0)
    fail("Cannot make %s", path.c_str());
  serve_clients(std::move(fd), std::move(tpm));
}

void serve_tcp(const std::string& port, Tpm tpm) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(atoi(port.c_str())));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  // Accepted connections inherit it.
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0)
    fail("Cannot use port %s", port.c_str());
  serve_clients(std::move(fd), std::move(tpm));
}

void serve_proxy(Tpm tpm) {
  bool echo = tpm.echoes();
  if (echo) tpm = Tpm("2");
  UniqueFd control(::open("/dev/vtpmx", O_RDWR | O_CLOEXEC));
  vtpm_proxy_new_dev device{.flags = VTPM_PROXY_FLAG_TPM2, .tpm_num = 0, .fd = 0, .major = 0, .minor = 0};
  if (!control || ::ioctl(control.get(), VTPM_PROXY_IOC_NEW_DEV, &device) < 0) fail("Cannot use /dev/vtpmx");
  UniqueFd fd(static_cast<int>(device.fd));
  std::string path = "/dev/tpm" + std::to_string(device.tpm_num);
  bool announced = false;
  uint8_t command[4096];
  while (true) {
    // Its read() waits however the descriptor is set, and a device that is not there yet says nothing.
    pollfd wait{fd.get(), POLLIN, 0};
    if (!announced && ::poll(&wait, 1, 10) == 0 && ::access(path.c_str(), R_OK) == 0) {
      ready(path);
      announced = true;
      continue;
    }
    ssize_t n = ::read(fd.get(), command, sizeof(command));
    if (n < 10) fail("The device has ended");
    if (echo && announced && load_be32(&command[6]) == kGetRandom) {
      write_whole(fd.get(), kResponse);
      continue;
    }
    // The driver's SET_LOCALITY and the rest: a TPM that has the one locality.
    if (load_be32(&command[6]) == 0x20001000) {
      constexpr uint8_t kDone[] = {0x80, 0x01, 0, 0, 0, 10, 0, 0, 0, 0};
      write_whole(fd.get(), kDone);
      continue;
    }
    write_whole(fd.get(), tpm.answer({command, static_cast<size_t>(n)}));
  }
}

// The raw protocol of /dev/cuse.
class CuseServer {
 public:
  CuseServer(const std::string& name, Tpm tpm)
      : fd_(::open("/dev/cuse", O_RDWR | O_CLOEXEC)), name_(name), tpm_(std::move(tpm)) {
    if (!fd_) fail("Cannot open /dev/cuse");
  }

  void serve() {
    while (true) {
      ssize_t n = ::read(fd_.get(), buffer_.data(), buffer_.size());
      if (n < 0 && (errno == EINTR || errno == ENOENT)) continue;
      if (n < static_cast<ssize_t>(sizeof(fuse_in_header))) fail("The device has ended");
      memcpy(&header_, buffer_.data(), sizeof(header_));
      answer();
    }
  }

 private:
  void answer() {
    switch (header_.opcode) {
      case CUSE_INIT:
        return init();
      case FUSE_OPEN:
        return open();
      case FUSE_WRITE: {
        fuse_write_in in;
        memcpy(&in, buffer_.data() + sizeof(header_), sizeof(in));
        response_ = tpm_.answer(ByteView(buffer_).subspan(sizeof(header_) + sizeof(in), in.size));
        return reply(fuse_write_out{in.size, 0});
      }
      case FUSE_READ:
        return send(0, response_);
      case FUSE_INTERRUPT:
        return;
      default:
        return send(header_.opcode == FUSE_RELEASE ? 0 : -ENOSYS, {});
    }
  }

  void open() {
    // The fields behind these have other names in newer kernel headers.
    fuse_open_out out{};
    out.open_flags = FOPEN_DIRECT_IO;
    reply(out);
  }

  void init() {
    cuse_init_out out{};
    out.major = FUSE_KERNEL_VERSION;
    out.minor = 31;
    out.max_read = kMaxWriteBytes;
    out.max_write = kMaxWriteBytes;
    std::string text = "DEVNAME=" + name_;
    Bytes payload(sizeof(out) + text.size() + 1);
    memcpy(payload.data(), &out, sizeof(out));
    memcpy(payload.data() + sizeof(out), text.c_str(), text.size() + 1);
    send(0, payload);
    ready("/dev/" + name_);
  }

  template <typename T>
  void reply(const T& out) {
    send(0, {reinterpret_cast<const uint8_t*>(&out), sizeof(out)});
  }

  void send(int32_t error, ByteView payload) {
    fuse_out_header out{static_cast<uint32_t>(sizeof(out) + payload.size()), error, header_.unique};
    iovec parts[] = {{&out, sizeof(out)}, {const_cast<uint8_t*>(payload.data()), payload.size()}};
    if (::writev(fd_.get(), parts, payload.empty() ? 1 : 2) < 0 && errno != ENOENT) fail("Cannot answer");
  }

  UniqueFd fd_;
  std::string name_;
  Tpm tpm_;
  ByteView response_;
  fuse_in_header header_{};
  Bytes buffer_ = Bytes(kMaxWriteBytes + 4096);
};

int run(int argc, char** argv) {
  std::string address = argc == 2 || argc == 3 ? argv[1] : "";
  std::string kind = address.substr(0, address.find(':'));
  std::string place = address.substr(std::min(address.size(), kind.size() + 1));
  Tpm tpm(argc == 3 ? argv[2] : "");
  if (kind == "unix") {
    serve_unix(place, std::move(tpm));
  } else if (kind == "tcp") {
    serve_tcp(place, std::move(tpm));
  } else if (kind == "cuse") {
    CuseServer(place, std::move(tpm)).serve();
  } else if (kind == "vtpm-proxy") {
    serve_proxy(std::move(tpm));
  }
  fprintf(stderr, "Usage: bench-server unix:PATH | tcp:PORT | cuse:NAME | vtpm-proxy [VERSION[,FILE]]\n");
  return 2;
}

}  // namespace
}  // namespace swtpm::bench

int main(int argc, char** argv) {
  return swtpm::bench::run(argc, argv);
}
