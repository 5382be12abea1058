// Serves a CUSE device to many clients at once, as the kernel's /dev/tpmrm0 is served: each open file is a
// client, with its own command, response, objects and sessions. There are no ioctls.
//
// What write() refuses, and what poll() and read() say, is as in drivers/char/tpm/tpm-dev-common.c. Only,
// write() returns when the command has been read, and read() waits for the response; the kernel waits in
// write(). So a signal ends the waiting, and cancels the command.
#pragma once

#include <linux/fuse.h>

#include <map>
#include <memory>
#include <vector>

#include "engine/serve/fuse_reply.h"
#include "engine/serve/managed_device_state.h"
#include "engine/serve/managed_loop.h"

namespace swtpm {

class ManagedCuseLoop final : public ManagedLoop {
 public:
  // continued: another engine has served it.
  ManagedCuseLoop(bool continued, UniqueFd fd, DataPath& path, spaces::ResourceManager& manager,
                  ManagedDeviceState& state);

  void close() override;

 private:
  static constexpr size_t kMaxClients = 256;
  // Of one client, by several threads of it.
  static constexpr size_t kMaxParked = 8;

  struct ParkedRead {
    FuseReply reply;
    uint32_t size;
  };
  struct Client {
    explicit Client(spaces::ResourceManager& manager) : tpm(manager) {}

    ManagedTpm tpm;
    Bytes command;
    uint64_t number = 0;  // of the command
    bool busy = false;    // it has not been answered
    bool begun = false;   // and its turn has come
    bool answers = true;  // not the last command: its response is lost, and READs wait
    Bytes unread;
    size_t read_bytes = 0;  // of them
    int read_error = 0;     // the next READ fails with it
    std::deque<ParkedRead> parked;
    std::vector<uint64_t> pollers;

    bool has_unread() const { return read_bytes < unread.size(); }
    bool is_readable() const { return has_unread() || read_error != 0; }
  };
  using ClientPtr = std::shared_ptr<Client>;

  struct Request {
    fuse_in_header header;
    std::span<uint8_t> body;
  };

  void listen() override;
  void answer_lost_requests();
  bool read_request(std::span<uint8_t> buffer, Request& request);
  void dispatch(const Request& request, FuseReply reply);
  FuseReply take_reply(uint64_t unique) { return FuseReply(fd_, unique); }

  void on_open(FuseReply reply);
  void on_release(const Request& request, FuseReply reply);
  bool on_read(const Request& request, FuseReply reply);
  void on_write(const Request& request, FuseReply reply);
  void on_poll(const Request& request, FuseReply reply);
  void on_interrupt(const Request& request);

  ClientPtr client_of(uint64_t file);
  static int fault_of(const Client& client, ByteView command);
  void execute(const ClientPtr& client, uint64_t number);
  void cancel(Client& client);
  void give(Client& client, const DataPath::Outcome& outcome);
  void serve_read(Client& client, FuseReply reply, uint32_t size);
  void serve_parked(Client& client);
  void add_poller(Client& client, uint64_t handle);
  void notify_pollers(Client& client);
  void answer_parked(ParkedRead& read, int error);

  ManagedDeviceState& state_;
  const bool continued_;
  ResponseBuffer buffer_;  // of the thread that executes

  std::mutex mutex_;  // guards what follows
  std::map<uint64_t, ClientPtr> clients_;
  uint64_t next_file_;
};

}  // namespace swtpm
