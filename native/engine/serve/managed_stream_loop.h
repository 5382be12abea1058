// Serves a listening socket to many connections at once: each is a client with objects and sessions of its
// own. What a message is, and how it is answered, is as in StreamLoop.
#pragma once

#include <poll.h>

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "engine/serve/managed_loop.h"

namespace swtpm {

class ManagedStreamLoop final : public ManagedLoop {
 public:
  // wake_fd: an eventfd(2), which this process may not make later; it stays the caller's.
  ManagedStreamLoop(uint32_t flags, UniqueFd fd, int wake_fd, Channel& channel, DataPath& path,
                    spaces::ResourceManager& manager);

  void close() override;

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr size_t kMaxClients = 256;
  static constexpr size_t kMessageBytes = wire::kTpmPrefixSizeBytes + kTpmBufferSizeBytes;

  struct Client {
    Client(UniqueFd fd, spaces::ResourceManager& manager) : fd(std::move(fd)), tpm(manager) {}

    UniqueFd fd;
    ManagedTpm tpm;
    // The message that is being read, or executed.
    Bytes message = Bytes(kMessageBytes);
    size_t have = 0;
    Clock::time_point deadline{};  // of the rest of the message
    bool busy = false;             // it is being executed; only the other thread touches what is above
    Bytes unsent;                  // of a response that the client does not take
    bool ends = false;             // after what is unsent
    bool gone = false;
  };
  using ClientPtr = std::shared_ptr<Client>;

  void listen() override;
  void on_stop() override { wake(); }
  void wake();
  void fill_poll(std::vector<pollfd>& waits, std::optional<Clock::time_point>& deadline);
  int wait(std::vector<pollfd>& waits, std::optional<Clock::time_point> deadline);
  void accept_client();
  void serve(const ClientPtr& client, short events);
  void read_some(const ClientPtr& client);
  void submit(const ClientPtr& client, std::optional<Refusals::Reason> fault);
  void execute(Client& client);
  DataPath::Outcome run(Client& client);
  void give(Client& client, const DataPath::Outcome& outcome);
  void send(Client& client, ByteView response);
  void send_unsent(Client& client);
  void drain(Client& client);
  void remove_gone();
  bool has_prefix(const Client& client) const;
  size_t wanted_bytes(const Client& client) const;

  const bool disconnect_;
  const bool report_clients_;
  const int wake_fd_;
  Channel& channel_;
  ResponseBuffer buffer_;  // of the thread that executes

  std::mutex mutex_;  // guards what follows, and of each client what comes with `busy`
  std::vector<ClientPtr> clients_;
  bool full_ = false;  // no more can be accepted at the moment
};

}  // namespace swtpm
