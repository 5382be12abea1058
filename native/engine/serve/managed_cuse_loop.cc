#include "engine/serve/managed_cuse_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/random.h>
#include <unistd.h>

#include <utility>

#include "engine/serve/fuse_request.h"

namespace swtpm {
namespace {

// What CUSE_INIT offers as max_write, with room for the headers.
constexpr size_t kRequestBytes = 68 * 1024;
// The kernel counts requests in steps of two. An engine may have been killed before it noted the last ones.
constexpr uint64_t kUniqueStep = 2;
constexpr uint64_t kRequestsAhead = 16;

// Files that an earlier engine has opened must not be taken for ours.
uint64_t first_file() {
  uint32_t random = 0;
  while (::getrandom(&random, sizeof(random), 0) < 0 && errno == EINTR) {
  }
  return uint64_t{random} << 32 | 1;
}

}  // namespace

ManagedCuseLoop::ManagedCuseLoop(bool continued, UniqueFd fd, DataPath& path,
                                 spaces::ResourceManager& manager, ManagedDeviceState& state)
    : ManagedLoop(std::move(fd), path, manager),
      state_(state),
      continued_(continued),
      next_file_(first_file()) {}

void ManagedCuseLoop::close() {
  clients_.clear();
  ManagedLoop::close();
}

void ManagedCuseLoop::listen() {
  if (continued_) answer_lost_requests();
  Bytes buffer(kRequestBytes);
  while (!stopping() && end_errno_ == 0) {
    Request request;
    if (!read_request(buffer, request)) continue;
    if (request.header.opcode == FUSE_INTERRUPT) {
      on_interrupt(request);
    } else if (request.header.opcode != FUSE_FORGET && request.header.opcode != FUSE_BATCH_FORGET) {
      dispatch(request, take_reply(request.header.unique));
    }
  }
  // Those whose command waits are answered when it has been executed; the others would wait for ever.
  std::lock_guard lock(mutex_);
  for (auto& [file, client] : clients_) {
    if (client->busy) continue;
    for (ParkedRead& read : client->parked) answer_parked(read, EIO);
    client->parked.clear();
  }
}

void ManagedCuseLoop::answer_lost_requests() {
  for (auto& slot : state_.waiting.numbers)
    if (uint64_t unique = slot.exchange(0)) take_reply(unique).error(EIO);
  uint64_t last = state_.last_unique.load();
  for (uint64_t ahead = 1; last != 0 && ahead <= kRequestsAhead; ahead++)
    take_reply(last + ahead * kUniqueStep).error(EIO);
  for (auto& slot : state_.pollers.numbers)
    if (uint64_t handle = slot.exchange(0)) fuse_notify_poll(fd_, handle);
}

// False: nothing to dispatch; look at stopping() and end_errno_.
bool ManagedCuseLoop::read_request(std::span<uint8_t> buffer, Request& request) {
  std::span<uint8_t> raw;
  int result = read_fuse_request(fd_.get(), buffer, raw, request.header);
  if (result < 0) end_errno_ = -result;
  if (result <= 0) return false;
  if (request.header.opcode != FUSE_INTERRUPT)
    state_.last_unique.store(request.header.unique, std::memory_order_release);
  request.body = raw.subspan(sizeof(fuse_in_header));
  return true;
}

void ManagedCuseLoop::dispatch(const Request& request, FuseReply reply) {
  const uint64_t unique = reply.unique();
  if (!state_.waiting.add(unique)) return std::move(reply).error(EAGAIN);
  bool parked = false;
  switch (request.header.opcode) {
    case FUSE_OPEN:
      on_open(std::move(reply));
      break;
    case FUSE_RELEASE:
      on_release(request, std::move(reply));
      break;
    case FUSE_READ:
      parked = on_read(request, std::move(reply));
      break;
    case FUSE_WRITE:
      on_write(request, std::move(reply));
      break;
    case FUSE_POLL:
      on_poll(request, std::move(reply));
      break;
    case FUSE_IOCTL:
      std::move(reply).error(ENOTTY);
      break;
    default:
      std::move(reply).error(ENOSYS);
  }
  if (!parked) state_.waiting.remove(unique);
}

void ManagedCuseLoop::on_open(FuseReply reply) {
  {
    std::lock_guard lock(mutex_);
    if (clients_.size() < kMaxClients) {
      uint64_t file = next_file_++;
      clients_.emplace(file, std::make_shared<Client>(manager_));
      // Not all fields have the same names in all kernels' headers.
      fuse_open_out out{};
      out.fh = file;
      return std::move(reply).data(bytes_of(out));
    }
  }
  std::move(reply).error(EBUSY);
}

// Of an open file. One that another engine has opened is a new client here, whose response is lost.
ManagedCuseLoop::ClientPtr ManagedCuseLoop::client_of(uint64_t file) {
  if (auto found = clients_.find(file); found != clients_.end()) return found->second;
  auto client = std::make_shared<Client>(manager_);
  client->read_error = EIO;
  return clients_.emplace(file, std::move(client)).first->second;
}

// What it has sent is done all the same, as it is where write() waits.
void ManagedCuseLoop::on_release(const Request& request, FuseReply reply) {
  fuse_release_in in;
  if (!decode(request.body, in)) return std::move(reply).error(EIO);
  ClientPtr client;
  {
    std::lock_guard lock(mutex_);
    if (auto found = clients_.find(in.fh); found != clients_.end()) {
      client = std::move(found->second);
      clients_.erase(found);
    }
  }
  std::move(reply).data({});
  if (!client) return;
  path_.client_left(client.get());
  // Its last owner closes its space, which takes the TPM.
  add_job([client = std::move(client)]() mutable { client.reset(); });
}

// True: it waits.
bool ManagedCuseLoop::on_read(const Request& request, FuseReply reply) {
  fuse_read_in in;
  if (!decode(request.body, in)) {
    std::move(reply).error(EIO);
    return false;
  }
  std::lock_guard lock(mutex_);
  ClientPtr client = client_of(in.fh);
  const bool waits = !client->is_readable() && (client->busy || !client->answers);
  if (waits && ((in.flags & O_NONBLOCK) || client->parked.size() >= kMaxParked)) {
    std::move(reply).error(EAGAIN);
  } else if (waits) {
    client->parked.push_back({std::move(reply), in.size});
    return true;
  } else {
    serve_read(*client, std::move(reply), in.size);
  }
  return false;
}

int ManagedCuseLoop::fault_of(const Client& client, ByteView command) {
  if (command.size() > kTpmBufferSizeBytes) return E2BIG;
  // A response of which a part has been read is given up by the next command.
  if (client.busy || (client.has_unread() && client.read_bytes == 0)) return EBUSY;
  if (command.size() < kTpmHeaderSizeBytes) return EINVAL;
  uint32_t size = message_size(command.data());
  return size < kTpmHeaderSizeBytes || size > command.size() ? EINVAL : 0;
}

void ManagedCuseLoop::on_write(const Request& request, FuseReply reply) {
  fuse_write_in in;
  if (!decode(request.body, in) || request.body.size() - sizeof(in) < in.size)
    return std::move(reply).error(EIO);
  ByteView bytes = request.body.subspan(sizeof(in), in.size);
  ClientPtr client;
  uint64_t number = 0;
  {
    std::lock_guard lock(mutex_);
    client = client_of(in.fh);
    if (int fault = fault_of(*client, bytes)) return std::move(reply).error(fault);
    // What is behind the command is nothing.
    ByteView command = bytes.first(message_size(bytes.data()));
    client->command.assign(command.begin(), command.end());
    number = ++client->number;
    client->busy = true;
    client->begun = false;
    client->answers = true;
    client->unread.clear();
    client->read_bytes = 0;
    client->read_error = 0;
    client->tpm.visit.renew();
  }
  add_job([this, client = std::move(client), number] { execute(client, number); });
  std::move(reply).data(bytes_of(fuse_write_out{in.size, 0}));
}

// In the other thread.
void ManagedCuseLoop::execute(const ClientPtr& client, uint64_t number) {
  {
    std::lock_guard lock(mutex_);
    // Cancelled before its turn.
    if (!client->busy || client->number != number) return;
    client->begun = true;
  }
  CommandProcessor::CommandOptions options{.short_code = insufficient_code(path_.version())};
  options.around = &client->tpm.visit;
  auto send_part = [this, &client](ByteView part) {
    std::lock_guard lock(mutex_);
    client->unread.insert(client->unread.end(), part.begin(), part.end());
    serve_parked(*client);
  };
  DataPath::Outcome outcome =
      path_.run(client->command, buffer_, options, {.send_part = send_part, .who = client.get()});
  std::lock_guard lock(mutex_);
  client->busy = false;
  give(*client, outcome);
}

// Called with the mutex held.
void ManagedCuseLoop::give(Client& client, const DataPath::Outcome& outcome) {
  using What = DataPath::Outcome::What;
  switch (outcome.what) {
    case What::kResponse:
      client.unread.insert(client.unread.end(), outcome.response.begin(), outcome.response.end());
      break;
    case What::kNothing:
      client.answers = false;
      break;
    case What::kHangUp:
    case What::kBroken:
      client.read_error = EPIPE;
      break;
    case What::kError:
      client.read_error = outcome.error;
  }
  if (client.answers) serve_parked(client);
  notify_pollers(client);
}

// Called with the mutex held.
void ManagedCuseLoop::serve_parked(Client& client) {
  while (!client.parked.empty()) {
    ParkedRead read = std::move(client.parked.front());
    client.parked.pop_front();
    const uint64_t unique = read.reply.unique();
    serve_read(client, std::move(read.reply), read.size);
    state_.waiting.remove(unique);
  }
  notify_pollers(client);
}

// Called with the mutex held. A response may be read in parts; behind it there are 0 bytes.
void ManagedCuseLoop::serve_read(Client& client, FuseReply reply, uint32_t size) {
  if (int error = std::exchange(client.read_error, 0)) return std::move(reply).error(error);
  ByteView part = ByteView(client.unread).subspan(client.read_bytes);
  part = part.first(std::min<size_t>(size, part.size()));
  std::move(reply).data(part);
  client.read_bytes += part.size();
  if (client.read_bytes < client.unread.size()) return;
  client.unread = Bytes();
  client.read_bytes = 0;
}

void ManagedCuseLoop::on_poll(const Request& request, FuseReply reply) {
  fuse_poll_in in;
  if (!decode(request.body, in)) return std::move(reply).error(EIO);
  std::lock_guard lock(mutex_);
  ClientPtr client = client_of(in.fh);
  if (in.flags & FUSE_POLL_SCHEDULE_NOTIFY) add_poller(*client, in.kh);
  uint32_t events = client->is_readable() ? POLLIN | POLLRDNORM : client->busy ? 0 : POLLOUT | POLLWRNORM;
  std::move(reply).data(bytes_of(fuse_poll_out{events, 0}));
}

// Called with the mutex held.
void ManagedCuseLoop::add_poller(Client& client, uint64_t handle) {
  if (std::ranges::count(client.pollers, handle) > 0) return;
  if (client.pollers.size() >= kMaxParked || !state_.pollers.add(handle)) {
    // Told at once, it asks again.
    return fuse_notify_poll(fd_, handle);
  }
  client.pollers.push_back(handle);
}

// Called with the mutex held.
void ManagedCuseLoop::notify_pollers(Client& client) {
  for (uint64_t handle : client.pollers) {
    fuse_notify_poll(fd_, handle);
    state_.pollers.remove(handle);
  }
  client.pollers.clear();
}

void ManagedCuseLoop::on_interrupt(const Request& request) {
  fuse_interrupt_in in;
  if (!decode(request.body, in)) return;
  ClientPtr begun;
  {
    std::lock_guard lock(mutex_);
    for (auto& [file, client] : clients_) {
      auto read = std::ranges::find(client->parked, in.unique,
                                    [](const ParkedRead& parked) { return parked.reply.unique(); });
      if (read == client->parked.end()) continue;
      answer_parked(*read, EINTR);
      client->parked.erase(read);
      if (client->busy && client->begun) begun = client;
      cancel(*client);
      break;
    }
  }
  // This takes some milliseconds.
  if (begun) path_.cancel(begun->tpm.visit);
}

// Called with the mutex held.
void ManagedCuseLoop::cancel(Client& client) {
  if (!client.busy) return;
  // It may wait for the TPM.
  client.tpm.visit.cancel();
  if (client.begun) return;
  client.busy = false;
  ResponseBuffer response;
  give(client, {.response = response.set(path_.version(), canceled_code(path_.version()))});
}

void ManagedCuseLoop::answer_parked(ParkedRead& read, int error) {
  const uint64_t unique = read.reply.unique();
  std::move(read.reply).error(error);
  state_.waiting.remove(unique);
}

}  // namespace swtpm
