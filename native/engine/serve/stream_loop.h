// Serves TPM commands on a socket, a listening socket, or a character device such as the vTPM proxy's server
// descriptor. It finds where a message begins and ends, and does not interpret what is in it.
//
// On the plain path one command costs one read() and one write(), and on a Unix socket a poll() before them.
// Sleeping in poll() is cheaper there than sleeping in read(): a sleeping reader is woken, for nothing, when
// its client has read the response. A message is what one read() returns, as clients have always been served:
// too many bytes get one error for all of them. Only if there are fewer bytes than the message says does the
// loop wait for the rest.
#pragma once

#include <array>
#include <chrono>
#include <vector>

#include "engine/channel/channel.h"
#include "engine/serve/data_path.h"
#include "engine/serve/device_state.h"
#include "engine/serve/loop.h"

namespace swtpm {

class StreamLoop : public Loop {
 public:
  // client: of a listener, the connection that another engine had accepted.
  StreamLoop(wire::AttachKind kind, uint32_t flags, UniqueFd fd, UniqueFd client, Channel& channel,
             DataPath& path, DeviceState& device);

  void run() override;
  UniqueFd take_client() override { return std::move(client_); }

 private:
  static constexpr size_t kPrefixSizeBytes = DeviceState::kPrefixSizeBytes;
  enum class Outcome { kMessage, kEnd };

  // What differs between the kinds of descriptors.
  struct Kind {
    // The descriptor listens: clients are accepted from it, one after the other.
    bool listens;
    // Where the loop waits for a message: in poll(), or in read() itself.
    bool sleeps_in_poll;
    // The kernel gives a command up if its response takes too long, and sends the next one. A response that
    // comes too late is refused, which does not end the connection.
    bool gives_commands_up;
  };
  static Kind kind_of(wire::AttachKind kind);

  bool accept_client();
  void answer_lost_command();
  bool has_unseen_message() const;
  void forget_message();
  int serve_client(int fd);
  Outcome read_message(int fd);
  bool read_rest(int fd);
  ssize_t read_some(int fd, size_t limit);
  ssize_t read_when_there(int fd, size_t limit);
  bool wait_readable(int fd, std::chrono::steady_clock::time_point deadline);
  size_t wanted_bytes() const;
  bool has_prefix() const;
  void note_no_command(Refusals::Reason reason);
  void drain(int fd);
  DataPath::Outcome handle_message(int fd);
  Interceptor::Client client_at(int fd);
  bool give(int fd, const DataPath::Outcome& outcome);
  bool respond(int fd, ByteView response);
  bool survives(int error);

  Kind kind_;
  bool disconnect_;  // after each response
  bool continued_;   // an earlier engine served this descriptor
  bool report_clients_;
  UniqueFd client_;  // of a listener
  Channel& channel_;
  DataPath& path_;
  DeviceState& device_;

  decltype(DeviceState::message)& message_;  // in the device state
  size_t have_ = 0;
  int error_ = 0;      // of the connection, after kEnd
  bool left_ = false;  // the loop was told to stop; the connection stays usable
  ResponseBuffer buffer_;
  std::vector<uint8_t> framed_;  // a response with its prefix
};

}  // namespace swtpm
