// Serves a CUSE device by the raw FUSE protocol of /dev/cuse: open, read, write, poll and their interruption.
// ioctls, and in route `supervisor` reads and writes, too, go to the supervisor as they are.
//
// Two threads share the descriptor: one reads requests while the other may be busy with a TPM command, so
// that a CANCEL, a second client or a signal is served meanwhile. Only one of them is in read() at a time,
// and it settles what it has read before it lets the other one read. Therefore an INTERRUPT is never seen
// before the request that it means.
//
// A command that takes some microseconds is settled like any other request: by the thread that has read it,
// which then reads on, while the other one sleeps. Only for a longer one do they change places.
#pragma once

#include <linux/fuse.h>

#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/channel/channel.h"
#include "engine/serve/data_path.h"
#include "engine/serve/loop.h"
#include "engine/tpm/heritage.h"

namespace swtpm {

class CuseLoop : public Loop {
 public:
  CuseLoop(uint32_t flags, UniqueFd fd, Channel& channel, DataPath& path, Desk& desk);

  size_t thread_count() const override { return 2; }
  void run() override;
  void set_route(wire::Route route) override { route_.store(route, std::memory_order_release); }

 private:
  // A whole request with its header, as read.
  struct Request {
    fuse_in_header header;
    std::span<uint8_t> raw;
    std::span<uint8_t> body() const { return raw.subspan(sizeof(header)); }
  };
  // What a WRITE has brought; the WRITE is not answered yet.
  struct Command {
    uint64_t unique;
    std::span<uint8_t> bytes;
  };
  struct ParkedRead {
    uint64_t unique;
    uint32_t size;
  };

  bool has_unseen_release() const;
  bool read_request(std::span<uint8_t> buffer, Request& request);
  std::optional<Command> dispatch(const Request& request);
  bool process_if_short(const Command& command);
  void process(const Command& command);

  void on_open(const Request& request);
  void on_release(const Request& request);
  void on_read(const Request& request);
  std::optional<Command> on_write(const Request& request);
  void on_poll(const Request& request);
  void on_interrupt(const Request& request);
  void forward(const Request& request);

  bool to_supervisor() const { return route_.load(std::memory_order_acquire) == wire::Route::kSupervisor; }
  uint32_t poll_events() const;
  ByteView unread() const;
  void set_unread(ByteView response);
  void take(const Command& command);
  void serve_read(uint64_t unique, uint32_t size);
  void notify_pollers();
  void reply(uint64_t unique, ByteView payload) { send(unique, 0, payload); }
  void reply_error(uint64_t unique, int error) { send(unique, -error, {}); }
  void send(uint64_t unique, int32_t error, ByteView payload);

  Channel& channel_;
  DataPath& path_;
  Desk& desk_;
  std::atomic<wire::Route> route_{wire::Route::kNative};

  std::mutex reading_;  // held by the thread that reads requests, until it has settled what it read
  size_t threads_ = 0;
  bool ended_ = false;
  const bool continued_;  // requests of another engine's time may be unanswered
  uint64_t first_unique_ = 0;

  std::mutex mutex_;           // guards what follows
  uint64_t session_ = 0;       // counts the device's clients
  bool busy_ = false;          // a command is being processed; its thread alone may touch buffer_
  uint64_t busy_session_ = 0;  // whose command it is
  bool lost_ = false;          // the engine before us died over a command: the next read() says so
  ResponseBuffer buffer_;
  std::deque<ParkedRead> parked_;
  std::vector<uint64_t> pollers_;  // kernel handles to wake
};

}  // namespace swtpm
