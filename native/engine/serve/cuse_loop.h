// Serves a CUSE device by the raw FUSE protocol of /dev/cuse: open, read, write, poll and their interruption.
// ioctls, and in route `supervisor` reads and writes too, are forwarded to the supervisor unchanged.
//
// Two threads share the descriptor: one reads requests while the other may run a TPM command, so that a
// CANCEL, a second client or a signal is served meanwhile. Only one of them is in read() at a time, and it
// handles the request before it lets the other one read. Therefore an INTERRUPT is never seen before the
// request that it means.
//
// A command that takes some microseconds is handled like any other request: by the thread that has read it,
// which then reads the next one, while the other thread sleeps. Only for a longer command do they change
// places.
#pragma once

#include <linux/fuse.h>

#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/channel/channel.h"
#include "engine/serve/data_path.h"
#include "engine/serve/device_state.h"
#include "engine/serve/fuse_reply.h"
#include "engine/serve/loop.h"

namespace swtpm {

class CuseLoop : public Loop {
 public:
  CuseLoop(uint32_t flags, UniqueFd fd, Channel& channel, DataPath& path, DeviceState& device);

  size_t thread_count() const override { return 2; }
  void run() override;
  void set_route(wire::Route route) override { route_.store(route, std::memory_order_release); }

 private:
  // A whole request with its header, as read. Who handles it takes the reply out of it.
  struct Request {
    fuse_in_header header;
    std::span<uint8_t> raw;
    std::optional<FuseReply> reply;  // none where the kernel expects none
    std::span<uint8_t> body() const { return raw.subspan(sizeof(header)); }
  };
  // What a WRITE has brought, and the reply to the WRITE.
  struct Command {
    FuseReply reply;
    std::span<uint8_t> bytes;
  };
  // A READ that waits for the response.
  struct ParkedRead {
    FuseReply reply;
    uint32_t size;
  };

  bool has_unseen_release() const;
  bool read_request(std::span<uint8_t> buffer, Request& request);
  std::optional<Command> dispatch(Request& request);
  static void confirm(Command& command);
  bool process_if_short(Command& command);
  void process(Command& command);
  void give(const DataPath::Outcome& outcome);
  void send_part(ByteView part);
  void serve_parked();
  void refuse_parked();

  void on_open(FuseReply reply);
  void on_release(FuseReply reply);
  void on_read(Request& request);
  std::optional<Command> on_write(Request& request);
  void on_poll(Request& request);
  void on_interrupt(const Request& request);
  void forward(Request& request);

  bool to_supervisor() const { return route_.load(std::memory_order_acquire) == wire::Route::kSupervisor; }
  uint32_t poll_events() const;
  ByteView unread() const;
  void add_unread(ByteView response);
  void set_unread(ByteView response);
  void serve_read(FuseReply reply, uint32_t size);
  void notify_pollers();

  Channel& channel_;
  DataPath& path_;
  DeviceState& device_;
  std::atomic<wire::Route> route_{wire::Route::kNative};

  std::mutex reading_;  // held by the thread that reads requests, until it has handled one
  size_t threads_ = 0;
  bool ended_ = false;
  const bool continued_;  // requests that an earlier engine read may be unanswered
  uint64_t first_unique_ = 0;

  std::mutex mutex_;           // guards what follows
  uint64_t session_ = 0;       // counts the device's clients
  bool busy_ = false;          // a command is being processed; its thread alone may touch buffer_
  uint64_t busy_session_ = 0;  // whose command it is
  int read_error_ = 0;         // the next READ fails with it: the earlier engine has died over a command, say
  bool answers_ = true;        // not the last command: its response is lost, and READs wait
  ResponseBuffer buffer_;
  std::deque<ParkedRead> parked_;
  std::vector<uint64_t> pollers_;  // kernel handles to wake
};

}  // namespace swtpm
