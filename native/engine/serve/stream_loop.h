// Serves TPM commands on a socket, a listening socket, or a character device such as the vTPM proxy's server
// descriptor. It knows where a message begins and ends; what is in it is the TPM's business.
//
// On the plain path one command costs one read() and one write(), on a Unix socket a poll() before them,
// which is cheaper than to sleep in read(): a sleeping reader is woken, for nothing, when its client has read
// the response; a sleeping poll() is not. A message is what one read() returns, as clients have always been
// served: too many bytes get one error for all of them. Only when there are fewer bytes than the message says
// does the loop wait, for this connection alone, for the rest.
#pragma once

#include <array>
#include <chrono>
#include <vector>

#include "engine/channel/channel.h"
#include "engine/serve/data_path.h"
#include "engine/serve/loop.h"
#include "engine/tpm/heritage.h"

namespace swtpm {

class StreamLoop : public Loop {
 public:
  // client: of a listener, the connection that another engine had accepted.
  StreamLoop(wire::AttachKind kind, uint32_t flags, UniqueFd fd, UniqueFd client, Channel& channel,
             DataPath& path, Desk& desk);

  void run() override;
  UniqueFd take_client() override { return std::move(client_); }

 private:
  static constexpr size_t kPrefixSizeBytes = Desk::kPrefixSizeBytes;
  enum class Outcome { kMessage, kEnd };

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
  void drain(int fd);
  ByteView handle_message();
  bool respond(int fd, ByteView response);
  bool give_up(int error);

  wire::AttachKind kind_;
  bool disconnect_;
  bool continued_;
  bool sleeps_in_poll_;
  UniqueFd client_;  // of a listener
  Channel& channel_;
  DataPath& path_;
  Desk& desk_;

  decltype(Desk::message)& message_;  // the one on the desk
  size_t have_ = 0;
  int error_ = 0;      // of the connection, after kEnd
  bool left_ = false;  // the connection is as good as before, we have been told to leave it
  ResponseBuffer buffer_;
  std::vector<uint8_t> framed_;  // a response with its prefix
};

}  // namespace swtpm
