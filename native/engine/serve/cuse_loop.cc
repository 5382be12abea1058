#include "engine/serve/cuse_loop.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/log.h"

namespace swtpm {
namespace {

template <typename T>
bool decode(std::span<uint8_t> body, T& out) {
  if (body.size() < sizeof(T)) return false;
  memcpy(&out, body.data(), sizeof(T));
  return true;
}

template <typename T>
ByteView bytes_of(const T& value) {
  return {reinterpret_cast<const uint8_t*>(&value), sizeof(T)};
}

}  // namespace

static_assert(sizeof(fuse_in_header) == 40 && sizeof(fuse_out_header) == 16 && sizeof(fuse_write_in) == 40);

CuseLoop::CuseLoop(uint32_t flags, UniqueFd fd, Channel& channel, DataPath& path, Desk& desk)
    : Loop(std::move(fd)),
      channel_(channel),
      path_(path),
      desk_(desk),
      continued_(flags & wire::kAttachContinue),
      lost_(desk.in_flight.exchange(0) != 0) {
  // Its client is gone, and will not say so again.
  if (desk_.current_opcode == FUSE_RELEASE || has_unseen_release()) desk_.open = 0;
  if (!desk_.open) {
    lost_ = false;
    set_unread({});
  }
}

// The engine before us was killed in read(), which had brought it one.
bool CuseLoop::has_unseen_release() const {
  for (const auto& bytes : desk_.fuse_requests) {
    fuse_in_header header;
    memcpy(&header, bytes.data(), sizeof(header));
    if (header.opcode == FUSE_RELEASE && header.unique > desk_.last_unique) return true;
  }
  return false;
}

void CuseLoop::run() {
  std::unique_lock reading(reading_);
  std::span<uint8_t> buffer = desk_.fuse_requests[threads_++];
  while (!stopping() && !ended_) {
    Request request;
    if (!read_request(buffer, request)) continue;
    std::optional<Command> command = dispatch(request);
    desk_.current_opcode.store(0, std::memory_order_release);
    if (!command) continue;
    reading.unlock();
    process(*command);
    reading.lock();
  }
}

// False: nothing to dispatch; look at stopping() and ended_.
bool CuseLoop::read_request(std::span<uint8_t> buffer, Request& request) {
  ssize_t n = ::read(fd_.get(), buffer.data(), buffer.size());
  if (n < 0) {
    // ENOENT: the request was taken back while it was handed to us.
    if (errno == EINTR || errno == ENOENT) return false;
    if (errno == EAGAIN) {
      pollfd wait{fd_.get(), POLLIN, 0};
      ::poll(&wait, 1, -1);
      return false;
    }
  }
  if (n <= 0) {
    end_errno_ = n < 0 ? errno : ENODEV;
    ended_ = true;
    return false;
  }
  request.raw = buffer.first(static_cast<size_t>(n));
  if (!decode(request.raw, request.header) || request.header.len != request.raw.size()) {
    log(LogLevel::kError, "Cannot use a FUSE request of %zd bytes: its header does not fit", n);
    return false;
  }
  desk_.current_opcode.store(request.header.opcode, std::memory_order_relaxed);
  if (request.header.opcode != FUSE_INTERRUPT)
    desk_.last_unique.store(request.header.unique, std::memory_order_release);
  return true;
}

// Returns the command of a WRITE that is to be processed while the other thread reads.
std::optional<CuseLoop::Command> CuseLoop::dispatch(const Request& request) {
  if (first_unique_ == 0 && request.header.opcode != FUSE_INTERRUPT) first_unique_ = request.header.unique;
  switch (request.header.opcode) {
    case FUSE_OPEN:
      on_open(request);
      break;
    case FUSE_RELEASE:
      on_release(request);
      break;
    case FUSE_READ:
      to_supervisor() ? forward(request) : on_read(request);
      break;
    case FUSE_WRITE:
      if (!to_supervisor()) return on_write(request);
      forward(request);
      break;
    case FUSE_IOCTL:
      forward(request);
      break;
    case FUSE_POLL:
      on_poll(request);
      break;
    case FUSE_INTERRUPT:
      on_interrupt(request);
      break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
      break;  // these have no reply
    default:
      reply_error(request.header.unique, ENOSYS);
  }
  return std::nullopt;
}

void CuseLoop::forward(const Request& request) {
  channel_.event(wire::Event::kFuseRequest, request.raw);
}

void CuseLoop::on_open(const Request& request) {
  {
    std::lock_guard lock(mutex_);
    if (desk_.open) return reply_error(request.header.unique, EBUSY);
    // Only then: an open that failed has no release.
    reply(request.header.unique, bytes_of(fuse_open_out{}));
    desk_.open = 1;
  }
  channel_.event(wire::Event::kClientOpened);
}

void CuseLoop::on_release(const Request& request) {
  set_route(wire::Route::kNative);
  {
    std::lock_guard lock(mutex_);
    desk_.open = 0;
    session_++;  // a response still to come is not for the next client
    lost_ = false;
    if (!busy_) set_unread({});
    reply(request.header.unique, {});
  }
  channel_.event(wire::Event::kClientClosed, 0u);
}

void CuseLoop::on_read(const Request& request) {
  fuse_read_in in;
  if (!decode(request.body(), in)) return reply_error(request.header.unique, EIO);
  std::lock_guard lock(mutex_);
  if (busy_)
    parked_.push_back({request.header.unique, in.size});
  else if (std::exchange(lost_, false))
    reply_error(request.header.unique, EIO);
  else
    serve_read(request.header.unique, in.size);
}

std::optional<CuseLoop::Command> CuseLoop::on_write(const Request& request) {
  fuse_write_in in;
  uint64_t unique = request.header.unique;
  if (!decode(request.body(), in) || request.body().size() - sizeof(in) < in.size) {
    reply_error(unique, EIO);
    return std::nullopt;
  }
  std::lock_guard lock(mutex_);
  if (busy_) {
    reply_error(unique, EBUSY);
    return std::nullopt;
  }
  // Longer than any command: the rest is not taken, which the client sees in what write() returns.
  uint32_t taken = std::min<uint32_t>(in.size, kTpmBufferSizeBytes);
  Command command{unique, request.body().subspan(sizeof(in), taken)};
  lost_ = false;
  set_unread({});
  if (process_if_short(command)) return std::nullopt;
  busy_ = true;
  busy_session_ = session_;
  desk_.in_flight = 1;
  return command;
}

// Called with the mutex held. The response is there when write() returns, so the read() that follows need not
// wait for it. Should we die before, write() fails.
bool CuseLoop::process_if_short(const Command& command) {
  auto response =
      path_.run_if_short(command.bytes, buffer_, {.short_code = insufficient_code(path_.version())});
  if (!response) return false;
  set_unread(*response);
  take(command);
  notify_pollers();
  return true;
}

// write() returns when the command's turn has come, not when it is done: the client can then cancel it or
// wait for it with poll(). It does not return before that, because a verb that the client sends next has to
// find the command begun.
void CuseLoop::process(const Command& command) {
  Tpm::CommandOptions options{.short_code = insufficient_code(path_.version())};
  // Two pointers fit into a std::function without an allocation.
  options.on_turn = [this, &command] { take(command); };
  ByteView response = path_.run(command.bytes, buffer_, options);

  std::lock_guard lock(mutex_);
  busy_ = false;
  set_unread(busy_session_ == session_ ? response : ByteView{});
  desk_.in_flight = 0;
  for (const ParkedRead& read : parked_) serve_read(read.unique, read.size);
  parked_.clear();
  notify_pollers();
}

// Has write() return.
void CuseLoop::take(const Command& command) {
  reply(command.unique, bytes_of(fuse_write_out{static_cast<uint32_t>(command.bytes.size()), 0}));
}

// Called with the mutex held. A response may be read in parts; behind it there are 0 bytes.
void CuseLoop::serve_read(uint64_t unique, uint32_t size) {
  ByteView part = unread();
  part = part.first(std::min<size_t>(size, part.size()));
  reply(unique, part);
  desk_.unread_offset += static_cast<uint32_t>(part.size());
}

// On the desk, where an engine that comes after us finds it.
ByteView CuseLoop::unread() const {
  uint32_t end = std::min<uint32_t>(desk_.unread_end, sizeof(desk_.response));
  uint32_t start = std::min<uint32_t>(desk_.unread_offset, end);
  return {desk_.response + start, end - start};
}

void CuseLoop::set_unread(ByteView response) {
  response = response.first(std::min(response.size(), sizeof(desk_.response)));
  desk_.unread_end = 0;
  memcpy(desk_.response, response.data(), response.size());
  desk_.unread_offset = 0;
  desk_.unread_end = static_cast<uint32_t>(response.size());
}

// Called with the mutex held. As /dev/tpm0 has it: readable when there is a response, writable when there is
// none.
uint32_t CuseLoop::poll_events() const {
  if (to_supervisor()) return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
  if (busy_) return 0;
  return POLLOUT | POLLWRNORM | (unread().empty() && !lost_ ? 0 : POLLIN | POLLRDNORM);
}

void CuseLoop::on_poll(const Request& request) {
  fuse_poll_in in;
  if (!decode(request.body(), in)) return reply_error(request.header.unique, EIO);
  std::lock_guard lock(mutex_);
  if ((in.flags & FUSE_POLL_SCHEDULE_NOTIFY) &&
      std::find(pollers_.begin(), pollers_.end(), in.kh) == pollers_.end())
    pollers_.push_back(in.kh);
  reply(request.header.unique, bytes_of(fuse_poll_out{poll_events(), 0}));
}

void CuseLoop::notify_pollers() {
  for (uint64_t handle : pollers_) send(0, FUSE_NOTIFY_POLL, bytes_of(fuse_notify_poll_wakeup_out{handle}));
  pollers_.clear();
}

void CuseLoop::on_interrupt(const Request& request) {
  fuse_interrupt_in in;
  if (!decode(request.body(), in)) return;
  std::lock_guard lock(mutex_);
  auto parked = std::find_if(parked_.begin(), parked_.end(),
                             [&](const ParkedRead& read) { return read.unique == in.unique; });
  if (parked != parked_.end()) {
    parked_.erase(parked);
    return reply_error(in.unique, EINTR);
  }
  // From before our time: the engine that read it is gone, and nobody else would ever answer it.
  if (continued_ && (first_unique_ == 0 || in.unique < first_unique_)) return reply_error(in.unique, EINTR);
  // Answered by now, or the supervisor's to answer.
}

void CuseLoop::send(uint64_t unique, int32_t error, ByteView payload) {
  uint8_t message[sizeof(fuse_out_header) + kTpmBufferSizeBytes];
  payload = payload.first(std::min(payload.size(), kTpmBufferSizeBytes));
  fuse_out_header header{static_cast<uint32_t>(sizeof(header) + payload.size()), error, unique};
  memcpy(message, &header, sizeof(header));
  memcpy(message + sizeof(header), payload.data(), payload.size());
  while (::write(fd_.get(), message, header.len) < 0) {
    if (errno == EINTR) continue;
    // ENOENT: the client did not wait for it. ENODEV: nor does anybody else.
    if (errno != ENOENT && errno != ENODEV)
      log(LogLevel::kWarning, "Cannot answer FUSE request %llu: %s", static_cast<unsigned long long>(unique),
          strerror(errno));
    return;
  }
}

}  // namespace swtpm
