// Serves TPM commands on a socket, a listening socket, or a character device such as the vTPM proxy's server
// descriptor. It knows where a message begins and ends; what is in it is the TPM's business.
//
// On the plain path one command costs one read() and one write(). A message is what one read() returns, as
// clients have always been served: too many bytes get one error for all of them. Only when there are fewer
// bytes than the message says does the loop wait, for this connection alone, for the rest.
#pragma once

#include <array>
#include <chrono>
#include <vector>

#include "engine/channel.h"
#include "engine/data_path.h"
#include "engine/loop.h"

namespace swtpm {

class StreamLoop : public Loop {
 public:
  StreamLoop(wire::AttachKind kind, uint32_t flags, UniqueFd fd, Channel& channel, DataPath& path);

  void run() override;

 private:
  // TCG's optional prefix of TPM 2.0 commands: u32 8, u8 locality, u32 length.
  static constexpr size_t kPrefixSizeBytes = 9;
  enum class Outcome { kMessage, kEnd };

  int serve_client(int fd);
  Outcome read_message(int fd);
  ssize_t read_some(int fd, size_t limit);
  bool wait_readable(int fd, std::chrono::steady_clock::time_point deadline);
  size_t wanted_bytes() const;
  bool has_prefix() const;
  void drain(int fd);
  ByteView handle_message();
  bool respond(int fd, ByteView response);
  bool respond_in_one_write(int fd, ByteView response);

  wire::AttachKind kind_;
  bool disconnect_;
  Channel& channel_;
  DataPath& path_;

  std::array<uint8_t, kPrefixSizeBytes + kTpmBufferSizeBytes> message_;
  size_t have_ = 0;
  int error_ = 0;  // of the connection, after kEnd
  ResponseBuffer buffer_;
  std::vector<uint8_t> framed_;  // a prefixed response for respond_in_one_write()
};

}  // namespace swtpm
