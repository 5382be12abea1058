#include "engine/serve/stream_loop.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

namespace swtpm {
namespace {

constexpr auto kRestOfMessagePatience = std::chrono::milliseconds(500);
constexpr uint32_t kPrefixCommand = 8;

}  // namespace

StreamLoop::StreamLoop(wire::AttachKind kind, uint32_t flags, UniqueFd fd, UniqueFd client, Channel& channel,
                       DataPath& path, DeviceState& device)
    : Loop(std::move(fd)),
      kind_(kind_of(kind)),
      disconnect_(flags & wire::kAttachDisconnect),
      continued_(flags & wire::kAttachContinue),
      report_clients_(flags & wire::kAttachReportClients),
      client_(std::move(client)),
      channel_(channel),
      path_(path),
      device_(device),
      message_(device.message) {}

StreamLoop::Kind StreamLoop::kind_of(wire::AttachKind kind) {
  switch (kind) {
    case wire::AttachKind::kListener:
      // Set anew for each client.
      return {.listens = true, .sleeps_in_poll = true, .gives_commands_up = false};
    case wire::AttachKind::kChardev:
      return {.listens = false, .sleeps_in_poll = false, .gives_commands_up = true};
    default:
      // A connection that is handed over comes from a process on this machine, so it is a Unix socket.
      return {.listens = false, .sleeps_in_poll = true, .gives_commands_up = false};
  }
}

void StreamLoop::run() {
  if (!kind_.listens) {
    if (continued_) answer_lost_command();
    end_errno_ = serve_client(fd_.get());
    return;
  }
  while (!stopping()) {
    if (!client_) {
      if (!accept_client()) return;
      continue;
    }
    int error = serve_client(client_.get());
    if (left_) return;
    client_.reset();
    if (report_clients_) channel_.event(wire::Event::kClientClosed, static_cast<uint32_t>(error));
  }
}

// False: the descriptor cannot accept any more.
bool StreamLoop::accept_client() {
  sockaddr_storage from{};
  socklen_t size = sizeof(from);
  client_.reset(::accept4(fd_.get(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_CLOEXEC));
  if (client_) {
    kind_.sleeps_in_poll = from.ss_family == AF_UNIX;
    if (report_clients_) channel_.event(wire::Event::kClientOpened);
    return true;
  }
  // A client that gave up while waiting, or a passing shortage, is no reason to stop listening.
  if (errno == EINTR || errno == ECONNABORTED) return true;
  if (errno == EAGAIN) {
    pollfd wait{fd_.get(), POLLIN, 0};
    ::poll(&wait, 1, -1);
    return true;
  }
  if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
    ::poll(nullptr, 0, 100);
    return true;
  }
  end_errno_ = errno;
  return false;
}

// The earlier engine has read a command and died. It may have executed the command or not: its client is told
// at once that it was cancelled.
void StreamLoop::answer_lost_command() {
  if (device_.in_flight.load() == 0 && !has_unseen_message()) return;
  have_ = 0;
  pollfd next{fd_.get(), POLLIN, 0};
  // The kernel has one command at a time: if the next one waits, it has given this one up.
  bool given_up = kind_.gives_commands_up && ::poll(&next, 1, 0) > 0;
  if (!given_up) respond(fd_.get(), buffer_.set(path_.version(), canceled_code(path_.version())));
  device_.in_flight.store(0);
}

// A command's length, or behind the prefix's, is never 0.
bool StreamLoop::has_unseen_message() const {
  return load_be32(&message_[2]) != 0;
}

void StreamLoop::forget_message() {
  store_be32(&message_[2], 0);
}

// Returns the errno that ended the connection, 0 for end of file.
int StreamLoop::serve_client(int fd) {
  left_ = false;
  while (!stopping()) {
    if (read_message(fd) == Outcome::kEnd) return error_;
    device_.in_flight.store(1, std::memory_order_relaxed);
    bool alive = give(fd, handle_message(fd));
    forget_message();
    device_.in_flight.store(0, std::memory_order_release);
    if (!alive) return error_;
    if (disconnect_) return 0;
  }
  left_ = true;
  return 0;
}

// At most `limit` bytes, behind the `have_` bytes. 0: end of file. -1: error_, which is 0 if the loop is to
// stop.
ssize_t StreamLoop::read_some(int fd, size_t limit) {
  while (true) {
    ssize_t n = read_when_there(fd, limit);
    if (n > 0) have_ += static_cast<size_t>(n);
    if (n >= 0) return n;
    error_ = errno;
    if (stopping() && have_ == 0) {
      left_ = true;
      error_ = 0;
      return -1;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return -1;
    pollfd wait{fd, POLLIN, 0};
    ::poll(&wait, 1, -1);
  }
}

// Like read().
ssize_t StreamLoop::read_when_there(int fd, size_t limit) {
  pollfd wait{fd, POLLIN, 0};
  if (kind_.sleeps_in_poll && ::poll(&wait, 1, -1) < 0) return -1;
  return ::read(fd, message_.data() + have_, limit);
}

bool StreamLoop::wait_readable(int fd, std::chrono::steady_clock::time_point deadline) {
  while (true) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd wait{fd, POLLIN, 0};
    int ready = ::poll(&wait, 1, static_cast<int>(left.count()));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

bool StreamLoop::has_prefix() const {
  if (path_.version() != TpmVersion::k20 || have_ < 4 || load_be32(message_.data()) != kPrefixCommand)
    return false;
  return true;  // a plain TPM 2.0 command begins with 0x80
}

// How many bytes the message must have, as far as the `have_` bytes tell.
size_t StreamLoop::wanted_bytes() const {
  size_t start = has_prefix() ? kPrefixSizeBytes : 0;
  if (have_ < start + kTpmHeaderSizeBytes) return start + kTpmHeaderSizeBytes;
  return start + message_size(message_.data() + start);
}

StreamLoop::Outcome StreamLoop::read_message(int fd) {
  have_ = 0;
  error_ = 0;
  forget_message();
  if (read_some(fd, message_.size()) <= 0) return Outcome::kEnd;
  if (have_ == message_.size() || wanted_bytes() > message_.size()) {
    // Longer than any command: it is answered with an error at once, and what is left of it is no further
    // message.
    drain(fd);
    note_no_command(Refusals::Reason::kTooLong);
    return Outcome::kMessage;
  }
  if (have_ < wanted_bytes() && !read_rest(fd)) return Outcome::kEnd;
  if (have_ < wanted_bytes()) note_no_command(Refusals::Reason::kCutOff);
  return Outcome::kMessage;
}

// False: read_some() has failed. A message of which the rest does not come in time is handled as it is.
bool StreamLoop::read_rest(int fd) {
  auto deadline = std::chrono::steady_clock::now() + kRestOfMessagePatience;
  while (true) {
    // Once: the bytes are in memory that an engine before this one has had, too.
    const size_t wanted = wanted_bytes();
    if (have_ >= wanted || wanted > message_.size() || !wait_readable(fd, deadline)) return true;
    // Only the rest of this message: what follows it is the next one.
    ssize_t n = read_some(fd, wanted - have_);
    if (n < 0) return false;
    if (n == 0) return true;  // the client may have shut down its side only and still wait for the answer
  }
}

// libtpms answers to bytes that are no whole command with an error of its own.
void StreamLoop::note_no_command(Refusals::Reason reason) {
  path_.refusals().note(reason, command_size_code(path_.version()));
}

void StreamLoop::drain(int fd) {
  uint8_t waste[4096];
  iovec iov{waste, sizeof(waste)};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  while (::recvmsg(fd, &message, MSG_DONTWAIT) > 0) {
  }
}

DataPath::Outcome StreamLoop::handle_message(int fd) {
  size_t start = has_prefix() ? kPrefixSizeBytes : 0;
  if (start > have_) start = have_;
  CommandProcessor::CommandOptions options{.short_code = command_size_code(path_.version())};
  if (start == kPrefixSizeBytes) {
    // For this command alone. In the reference it stays, for the next client too.
    options.locality = message_[4];
    if (!path_.permits_locality(*options.locality))
      return {.response = path_.refusals().answer(buffer_, Refusals::Reason::kLocalityForbidden,
                                                  locality_code(path_.version()))};
  }
  return path_.run({message_.data() + start, have_ - start}, buffer_, options, client_at(fd));
}

Interceptor::Client StreamLoop::client_at(int fd) {
  // The kernel's next command says that it has given this one up. A TCP client that has closed has only ended
  // its side; one that does so and waits for the answer cannot be told from it, and gets the answer.
  short gone_on = kind_.gives_commands_up ? POLLIN : 0;
  // Two pointers fit into a std::function without an allocation.
  return {.fd = fd, .gone_on = gone_on, .send_part = [this, fd](ByteView part) { respond(fd, part); }};
}

// False: the connection ends.
bool StreamLoop::give(int fd, const DataPath::Outcome& outcome) {
  using What = DataPath::Outcome::What;
  if (outcome.what == What::kResponse) return respond(fd, outcome.response);
  error_ = 0;
  // Each part was a response of its own where there is one message at a time.
  if (outcome.what == What::kBroken) return kind_.gives_commands_up;
  return outcome.what == What::kNothing;
}

// In one write() where the other side takes it: for the vTPM proxy each write() is a response of its own.
bool StreamLoop::respond(int fd, ByteView response) {
  if (has_prefix()) {
    framed_.resize(4);
    store_be32(framed_.data(), static_cast<uint32_t>(response.size()));
    framed_.insert(framed_.end(), response.begin(), response.end());
    framed_.insert(framed_.end(), 4, 0);
    response = framed_;
  }
  while (!response.empty()) {
    ssize_t n = ::write(fd, response.data(), response.size());
    if (n >= 0) {
      response = response.subspan(static_cast<size_t>(n));
    } else if (stopping()) {
      // A client that does not read is not waited for.
      error_ = 0;
      return false;
    } else if (errno == EAGAIN) {
      pollfd wait{fd, POLLOUT, 0};
      ::poll(&wait, 1, -1);
    } else if (errno != EINTR) {
      return survives(errno);
    }
  }
  return true;
}

// Whether the connection is usable after a response could not be written. If it is not, read() will say so,
// too.
bool StreamLoop::survives(int error) {
  error_ = error;
  if (!kind_.gives_commands_up) return false;
  bool too_late = error == EIO || error == EPIPE || error == ETIME;
  if (too_late) log(LogLevel::kDebug, "A response came too late and was dropped");
  return too_late;
}

}  // namespace swtpm
