#include "engine/serve/cuse_loop.h"

#include <errno.h>
#include <poll.h>

#include <algorithm>
#include <utility>

#include "engine/serve/fuse_request.h"

namespace swtpm {

static_assert(sizeof(fuse_in_header) == 40 && sizeof(fuse_write_in) == 40);

CuseLoop::CuseLoop(uint32_t flags, UniqueFd fd, Channel& channel, DataPath& path, DeviceState& device)
    : Loop(std::move(fd)),
      channel_(channel),
      path_(path),
      device_(device),
      continued_(flags & wire::kAttachContinue),
      read_error_(device.in_flight.exchange(0) != 0 ? EIO : 0) {
  // The client is gone, and the kernel will not say so again.
  if (device_.current_opcode.load() == FUSE_RELEASE || has_unseen_release()) device_.open.store(0);
  if (!device_.open.load()) {
    read_error_ = 0;
    set_unread({});
  }
}

// The earlier engine was killed inside read(), which had returned a RELEASE.
bool CuseLoop::has_unseen_release() const {
  for (const auto& bytes : device_.fuse_requests) {
    fuse_in_header header;
    memcpy(&header, bytes.data(), sizeof(header));
    if (header.opcode == FUSE_RELEASE && header.unique > device_.last_unique.load()) return true;
  }
  return false;
}

void CuseLoop::run() {
  std::unique_lock reading(reading_);
  std::span<uint8_t> buffer = device_.fuse_requests[threads_++];
  while (!stopping() && !ended_) {
    Request request;
    if (!read_request(buffer, request)) continue;
    std::optional<Command> command = dispatch(request);
    device_.current_opcode.store(0, std::memory_order_release);
    if (!command) continue;
    reading.unlock();
    process(*command);
    command.reset();
    reading.lock();
  }
  reading.unlock();
  refuse_parked();
}

// The loop ends: a READ whose response was lost would wait for ever.
void CuseLoop::refuse_parked() {
  std::lock_guard lock(mutex_);
  if (busy_) return;
  for (ParkedRead& read : parked_) std::move(read.reply).error(EIO);
  parked_.clear();
}

// False: nothing to dispatch; look at stopping() and ended_.
bool CuseLoop::read_request(std::span<uint8_t> buffer, Request& request) {
  int result = read_fuse_request(fd_.get(), buffer, request.raw, request.header);
  if (result < 0) {
    end_errno_ = -result;
    ended_ = true;
  }
  if (result <= 0) return false;
  device_.current_opcode.store(request.header.opcode, std::memory_order_relaxed);
  bool is_forget = request.header.opcode == FUSE_FORGET || request.header.opcode == FUSE_BATCH_FORGET;
  if (request.header.opcode != FUSE_INTERRUPT && !is_forget)
    request.reply.emplace(fd_, request.header.unique);
  if (request.header.opcode != FUSE_INTERRUPT)
    device_.last_unique.store(request.header.unique, std::memory_order_release);
  return true;
}

// Returns the command of a WRITE that is to be processed while the other thread reads.
std::optional<CuseLoop::Command> CuseLoop::dispatch(Request& request) {
  if (request.header.opcode == FUSE_INTERRUPT) {
    on_interrupt(request);
    return std::nullopt;
  }
  if (first_unique_ == 0) first_unique_ = request.header.unique;
  if (!request.reply) return std::nullopt;
  switch (request.header.opcode) {
    case FUSE_OPEN:
      on_open(*std::move(request.reply));
      break;
    case FUSE_RELEASE:
      on_release(*std::move(request.reply));
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
    default:
      (*std::move(request.reply)).error(ENOSYS);
  }
  return std::nullopt;
}

void CuseLoop::forward(Request& request) {
  channel_.event(wire::Event::kFuseRequest, request.raw);
  (*std::move(request.reply)).leave_to_supervisor();
}

void CuseLoop::on_open(FuseReply reply) {
  {
    std::lock_guard lock(mutex_);
    if (device_.open.load()) return std::move(reply).error(EBUSY);
    std::move(reply).data(bytes_of(fuse_open_out{}));
    // Only then: an open that failed has no release.
    device_.open.store(1);
  }
}

void CuseLoop::on_release(FuseReply reply) {
  // Only a transfer that the supervisor is at ends with its client.
  bool in_transfer = to_supervisor();
  set_route(wire::Route::kNative);
  {
    std::lock_guard lock(mutex_);
    device_.open.store(0);
    session_++;  // a response still to come is not for the next client
    read_error_ = 0;
    answers_ = true;
    if (busy_)
      path_.client_left(this);
    else
      set_unread({});
    std::move(reply).data({});
  }
  if (in_transfer) channel_.event(wire::Event::kClientClosed, 0u);
}

void CuseLoop::on_read(Request& request) {
  FuseReply reply = *std::move(request.reply);
  fuse_read_in in;
  if (!decode(request.body(), in)) return std::move(reply).error(EIO);
  std::lock_guard lock(mutex_);
  if (int error = std::exchange(read_error_, 0))
    std::move(reply).error(error);
  else if ((busy_ && unread().empty()) || !answers_)
    parked_.push_back({std::move(reply), in.size});
  else
    serve_read(std::move(reply), in.size);
}

std::optional<CuseLoop::Command> CuseLoop::on_write(Request& request) {
  FuseReply reply = *std::move(request.reply);
  fuse_write_in in;
  if (!decode(request.body(), in) || request.body().size() - sizeof(in) < in.size) {
    std::move(reply).error(EIO);
    return std::nullopt;
  }
  std::lock_guard lock(mutex_);
  if (busy_) {
    std::move(reply).error(EBUSY);
    return std::nullopt;
  }
  // Longer than any command: the rest is not taken, which the client sees in what write() returns.
  uint32_t taken = std::min<uint32_t>(in.size, kTpmBufferSizeBytes);
  if (taken < in.size) path_.refusals().note(Refusals::Reason::kTooLong, command_size_code(path_.version()));
  Command command{std::move(reply), request.body().subspan(sizeof(in), taken)};
  read_error_ = 0;
  answers_ = true;
  set_unread({});
  if (process_if_short(command)) return std::nullopt;
  busy_ = true;
  busy_session_ = session_;
  device_.in_flight.store(1);
  return command;
}

// Called with the mutex held. The response is there when write() returns, so the read() that follows need not
// wait for it. If this process dies before, write() fails.
bool CuseLoop::process_if_short(Command& command) {
  auto response =
      path_.run_if_short(command.bytes, buffer_, {.short_code = insufficient_code(path_.version())});
  if (!response) return false;
  set_unread(*response);
  confirm(command);
  notify_pollers();
  return true;
}

// write() returns when the command's turn has come, not when it is done: the client can then cancel it or
// wait for it with poll(). It does not return before that, because a verb that the client sends next has to
// find the command begun.
void CuseLoop::process(Command& command) {
  CommandProcessor::CommandOptions options{.short_code = insufficient_code(path_.version())};
  // One pointer fits into a std::function without an allocation.
  options.on_turn = [&command] { confirm(command); };
  DataPath::Outcome outcome =
      path_.run(command.bytes, buffer_, options,
                {.send_part = [this](ByteView part) { send_part(part); }, .who = this});

  std::lock_guard lock(mutex_);
  busy_ = false;
  if (busy_session_ == session_) give(outcome);
  device_.in_flight.store(0);
  if (answers_) serve_parked();
  notify_pollers();
}

// Called with the mutex held.
void CuseLoop::give(const DataPath::Outcome& outcome) {
  using What = DataPath::Outcome::What;
  switch (outcome.what) {
    case What::kResponse:
      add_unread(outcome.response);
      break;
    case What::kNothing:
      answers_ = false;
      break;
    case What::kHangUp:
    case What::kBroken:
      read_error_ = EPIPE;
      break;
    case What::kError:
      read_error_ = outcome.error;
  }
}

// The rest of the response is still to come.
void CuseLoop::send_part(ByteView part) {
  std::lock_guard lock(mutex_);
  if (busy_session_ != session_) return;
  add_unread(part);
  serve_parked();
  notify_pollers();
}

// Called with the mutex held.
void CuseLoop::serve_parked() {
  for (ParkedRead& read : parked_) {
    if (int error = std::exchange(read_error_, 0))
      std::move(read.reply).error(error);
    else
      serve_read(std::move(read.reply), read.size);
  }
  parked_.clear();
}

// Has write() return.
void CuseLoop::confirm(Command& command) {
  auto size_bytes = static_cast<uint32_t>(command.bytes.size());
  std::move(command.reply).data(bytes_of(fuse_write_out{size_bytes, 0}));
}

// Called with the mutex held. A response may be read in parts; behind it there are 0 bytes.
void CuseLoop::serve_read(FuseReply reply, uint32_t size) {
  ByteView part = unread();
  part = part.first(std::min<size_t>(size, part.size()));
  std::move(reply).data(part);
  device_.unread_offset.store(device_.unread_offset.load() + static_cast<uint32_t>(part.size()));
}

ByteView CuseLoop::unread() const {
  uint32_t end = std::min<uint32_t>(device_.unread_end.load(), sizeof(device_.response));
  uint32_t start = std::min<uint32_t>(device_.unread_offset.load(), end);
  return {device_.response + start, end - start};
}

// Behind what has not been read of a response that comes in parts.
void CuseLoop::add_unread(ByteView response) {
  ByteView before = unread();
  if (before.empty()) return set_unread(response);
  Bytes whole(before.begin(), before.end());
  whole.insert(whole.end(), response.begin(), response.end());
  set_unread(whole);
}

void CuseLoop::set_unread(ByteView response) {
  response = response.first(std::min(response.size(), sizeof(device_.response)));
  device_.unread_end.store(0);
  std::copy(response.begin(), response.end(), device_.response);
  device_.unread_offset.store(0);
  device_.unread_end.store(static_cast<uint32_t>(response.size()));
}

// Called with the mutex held. As /dev/tpm0 has it: readable when there is a response, writable when there is
// none.
uint32_t CuseLoop::poll_events() const {
  if (to_supervisor()) return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
  const uint32_t readable = unread().empty() && read_error_ == 0 ? 0 : POLLIN | POLLRDNORM;
  return busy_ ? readable : POLLOUT | POLLWRNORM | readable;
}

void CuseLoop::on_poll(Request& request) {
  FuseReply reply = *std::move(request.reply);
  fuse_poll_in in;
  if (!decode(request.body(), in)) return std::move(reply).error(EIO);
  std::lock_guard lock(mutex_);
  if ((in.flags & FUSE_POLL_SCHEDULE_NOTIFY) &&
      std::find(pollers_.begin(), pollers_.end(), in.kh) == pollers_.end())
    pollers_.push_back(in.kh);
  std::move(reply).data(bytes_of(fuse_poll_out{poll_events(), 0}));
}

void CuseLoop::notify_pollers() {
  for (uint64_t handle : pollers_) fuse_notify_poll(fd_, handle);
  pollers_.clear();
}

void CuseLoop::on_interrupt(const Request& request) {
  fuse_interrupt_in in;
  if (!decode(request.body(), in)) return;
  std::lock_guard lock(mutex_);
  auto parked = std::find_if(parked_.begin(), parked_.end(),
                             [&](const ParkedRead& read) { return read.reply.unique() == in.unique; });
  if (parked != parked_.end()) {
    std::move(parked->reply).error(EINTR);
    parked_.erase(parked);
    return;
  }
  // A request that an earlier engine read before it died: this engine has to reply to it.
  if (continued_ && (first_unique_ == 0 || in.unique < first_unique_)) FuseReply(fd_, in.unique).error(EINTR);
  // Any other has been replied to by now, or the supervisor will reply.
}

}  // namespace swtpm
