#include "engine/serve/managed_stream_loop.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "common/log.h"

namespace swtpm {
namespace {

constexpr auto kRestOfMessagePatience = std::chrono::milliseconds(500);
// How long nothing is accepted when the system lacks something for it.
constexpr auto kPause = std::chrono::milliseconds(100);
constexpr uint32_t kPrefixCommand = 8;

}  // namespace

ManagedStreamLoop::ManagedStreamLoop(uint32_t flags, UniqueFd fd, int wake_fd, Channel& channel,
                                     DataPath& path, spaces::ResourceManager& manager)
    : ManagedLoop(std::move(fd), path, manager),
      disconnect_(flags & wire::kAttachDisconnect),
      report_clients_(flags & wire::kAttachReportClients),
      wake_fd_(wake_fd),
      channel_(channel) {}

void ManagedStreamLoop::close() {
  clients_.clear();
  ManagedLoop::close();
}

void ManagedStreamLoop::wake() {
  const uint64_t one = 1;
  (void)!::write(wake_fd_, &one, sizeof(one));
}

void ManagedStreamLoop::listen() {
  std::vector<pollfd> waits;
  while (!stopping() && end_errno_ == 0) {
    std::optional<Clock::time_point> deadline;
    fill_poll(waits, deadline);
    if (wait(waits, deadline) < 0) continue;
    if (waits[0].revents) {
      uint64_t count = 0;
      (void)!::read(wake_fd_, &count, sizeof(count));
    }
    // Clients are added and removed by this thread alone.
    for (size_t i = 2; i < waits.size(); i++) serve(clients_[i - 2], waits[i].revents);
    remove_gone();
    if (waits[1].revents) accept_client();
  }
}

// The first is what wakes, the second what listens; then the clients.
void ManagedStreamLoop::fill_poll(std::vector<pollfd>& waits, std::optional<Clock::time_point>& deadline) {
  std::lock_guard lock(mutex_);
  waits.clear();
  waits.push_back({wake_fd_, POLLIN, 0});
  if (full_) deadline = Clock::now() + kPause;
  waits.push_back({full_ || clients_.size() >= kMaxClients ? -1 : fd_.get(), POLLIN, 0});
  full_ = false;
  for (const ClientPtr& client : clients_) {
    // While its command is executed only its end is looked for, once.
    if (client->busy && client->gone) {
      waits.push_back({-1, 0, 0});
      continue;
    }
    short events = client->busy ? 0 : client->unsent.empty() ? POLLIN : POLLOUT;
    waits.push_back({client->fd.get(), events, 0});
    if (client->busy || client->have == 0) continue;
    if (!deadline || client->deadline < *deadline) deadline = client->deadline;
  }
}

int ManagedStreamLoop::wait(std::vector<pollfd>& waits, std::optional<Clock::time_point> deadline) {
  int timeout_ms = -1;
  if (deadline) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now());
    timeout_ms = static_cast<int>(std::max<int64_t>(left.count(), 0));
  }
  return ::poll(waits.data(), waits.size(), timeout_ms);
}

void ManagedStreamLoop::accept_client() {
  UniqueFd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (fd) {
    auto client = std::make_shared<Client>(std::move(fd), manager_);
    {
      std::lock_guard lock(mutex_);
      clients_.push_back(std::move(client));
    }
    if (report_clients_) channel_.event(wire::Event::kClientOpened);
    return;
  }
  // A client that gave up while waiting, or a passing shortage, is no reason to stop listening.
  if (errno == EINTR || errno == ECONNABORTED || errno == EAGAIN) return;
  if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
    std::lock_guard lock(mutex_);
    full_ = true;
    return;
  }
  end_errno_ = errno;
}

void ManagedStreamLoop::serve(const ClientPtr& client, short events) {
  std::unique_lock lock(mutex_);
  if (client->busy) {
    // It has closed, and waits for no response.
    if ((events & (POLLHUP | POLLERR)) && !client->gone) {
      client->gone = true;
      lock.unlock();
      client->tpm.visit.cancel();
      path_.client_left(client.get());
      path_.cancel(client->tpm.visit);
    }
    return;
  }
  if (!client->unsent.empty()) {
    if (events) send_unsent(*client);
    return;
  }
  if (client->gone) return;
  lock.unlock();
  const bool late = client->have > 0 && Clock::now() >= client->deadline;
  if (events & (POLLIN | POLLHUP | POLLERR))
    read_some(client);
  else if (late)
    submit(client, Refusals::Reason::kCutOff);
}

void ManagedStreamLoop::read_some(const ClientPtr& client) {
  Bytes& message = client->message;
  const bool first = client->have == 0;
  // Only the rest of this message: what follows it is the next one.
  size_t limit = message.size() - client->have;
  if (!first) limit = std::min(limit, wanted_bytes(*client) - client->have);
  ssize_t n = ::read(client->fd.get(), message.data() + client->have, limit);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (n <= 0) {
    // A client that has ended its side only may still wait for the answer to what it has sent.
    if (n == 0 && !first) return submit(client, Refusals::Reason::kCutOff);
    std::lock_guard lock(mutex_);
    client->gone = true;
    return;
  }
  client->have += static_cast<size_t>(n);
  if (client->have == message.size() || wanted_bytes(*client) > message.size()) {
    // Longer than any command: what is left of it is no further message.
    drain(*client);
    return submit(client, Refusals::Reason::kTooLong);
  }
  if (client->have >= wanted_bytes(*client)) return submit(client, std::nullopt);
  if (first) client->deadline = Clock::now() + kRestOfMessagePatience;
}

void ManagedStreamLoop::drain(Client& client) {
  uint8_t waste[4096];
  while (::read(client.fd.get(), waste, sizeof(waste)) > 0) {
  }
}

// fault: libtpms answers to bytes that are no whole command with an error of its own.
void ManagedStreamLoop::submit(const ClientPtr& client, std::optional<Refusals::Reason> fault) {
  if (fault) path_.refusals().note(*fault, command_size_code(path_.version()));
  {
    std::lock_guard lock(mutex_);
    client->busy = true;
    client->tpm.visit.renew();
  }
  add_job([this, client] { execute(*client); });
}

// In the other thread.
void ManagedStreamLoop::execute(Client& client) {
  DataPath::Outcome outcome = run(client);
  {
    std::lock_guard lock(mutex_);
    give(client, outcome);
    client.busy = false;
    client.have = 0;
  }
  wake();
}

DataPath::Outcome ManagedStreamLoop::run(Client& client) {
  size_t start = std::min(has_prefix(client) ? wire::kTpmPrefixSizeBytes : size_t{0}, client.have);
  CommandProcessor::CommandOptions options{.short_code = command_size_code(path_.version())};
  if (start == wire::kTpmPrefixSizeBytes) {
    // For this command alone.
    options.locality = client.message[4];
    if (!path_.permits_locality(*options.locality))
      return {.response = path_.refusals().answer(buffer_, Refusals::Reason::kLocalityForbidden,
                                                  locality_code(path_.version()))};
  }
  options.around = &client.tpm.visit;
  auto send_part = [this, &client](ByteView part) {
    std::lock_guard lock(mutex_);
    send(client, part);
  };
  return path_.run({client.message.data() + start, client.have - start}, buffer_, options,
                   {.send_part = send_part, .who = &client});
}

// Called with the mutex held.
void ManagedStreamLoop::give(Client& client, const DataPath::Outcome& outcome) {
  using What = DataPath::Outcome::What;
  if (outcome.what == What::kResponse) send(client, outcome.response);
  client.ends = disconnect_ || (outcome.what != What::kResponse && outcome.what != What::kNothing);
  if (client.ends && client.unsent.empty()) client.gone = true;
}

// Called with the mutex held. A client that does not read has it later.
void ManagedStreamLoop::send(Client& client, ByteView response) {
  Bytes& unsent = client.unsent;
  const bool prefixed = has_prefix(client);
  uint8_t head[4];
  store_be32(head, static_cast<uint32_t>(response.size()));
  if (prefixed) unsent.insert(unsent.end(), head, head + sizeof(head));
  unsent.insert(unsent.end(), response.begin(), response.end());
  if (prefixed) unsent.insert(unsent.end(), 4, 0);
  send_unsent(client);
}

// Called with the mutex held.
void ManagedStreamLoop::send_unsent(Client& client) {
  Bytes& unsent = client.unsent;
  while (!unsent.empty() && !client.gone) {
    ssize_t n = ::write(client.fd.get(), unsent.data(), unsent.size());
    if (n >= 0) {
      unsent.erase(unsent.begin(), unsent.begin() + n);
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != EINTR) {
      client.gone = true;
    }
  }
  if (client.gone) unsent.clear();
  if (client.ends) client.gone = true;
}

void ManagedStreamLoop::remove_gone() {
  std::vector<ClientPtr> gone;
  {
    std::lock_guard lock(mutex_);
    for (const ClientPtr& client : clients_)
      if (client->gone && !client->busy) gone.push_back(client);
    std::erase_if(clients_, [](const ClientPtr& client) { return client->gone && !client->busy; });
  }
  for (ClientPtr& client : gone) {
    // Closing its space takes the TPM, which is the other thread's business.
    add_job([client = std::move(client)]() mutable {
      client->fd.reset();
      client.reset();
    });
    if (report_clients_) channel_.event(wire::Event::kClientClosed, 0u);
  }
}

bool ManagedStreamLoop::has_prefix(const Client& client) const {
  return client.have >= 4 && load_be32(client.message.data()) == kPrefixCommand;
}

// How many bytes the message must have, as far as those tell that are there.
size_t ManagedStreamLoop::wanted_bytes(const Client& client) const {
  size_t start = has_prefix(client) ? wire::kTpmPrefixSizeBytes : 0;
  if (client.have < start + kTpmHeaderSizeBytes) return start + kTpmHeaderSizeBytes;
  return start + message_size(client.message.data() + start);
}

}  // namespace swtpm
