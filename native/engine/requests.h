// Executes the supervisor's requests. Urgent ones are answered by the thread that reads the channel; all
// others by the verb thread, one after the other, so that a CANCEL never queues behind what it is to cancel.
//
// What a verb means is in swtpm_ioctls(3) and docs/design/0001-engine-wire.md; the TPM's part is in Tpm.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "engine/channel/channel.h"
#include "engine/serve/attachment.h"
#include "engine/serve/storage_gate.h"
#include "engine/tpm/tpm.h"

namespace swtpm {

class Requests {
 public:
  // managed: what serves a device to many clients, or null.
  Requests(Channel& channel, Tpm& tpm, StorageGate& gate, Interceptor& interceptor, Attachment& attachment,
           Attachment* managed);
  Requests(const Requests&) = delete;
  Requests& operator=(const Requests&) = delete;

  // Reads and serves requests until the channel ends. Requests not begun by then are dropped: the
  // supervisor is gone.
  void run();

 private:
  using Handler = Bytes (Requests::*)(ByteReader& body, Frame& frame);
  struct Row {
    wire::Request rule;
    Handler handler;
  };

  // What a request does; one for each row of wire::kRequests, or the program does not link.
  template <wire::Code code>
  Bytes handle(ByteReader& body, Frame& frame);

  static std::span<const Row> rows();
  static const Row* find(uint32_t code);
  static bool is_urgent(const wire::Request& rule, const Frame& frame);

  void execute(Frame& frame);
  Bytes answer(Frame& frame);
  void verb_thread();

  Channel& channel_;
  Tpm& tpm_;
  StorageGate& gate_;
  Interceptor& interceptor_;
  Attachment& attachment_;
  Attachment* managed_;
  ResponseBuffer process_buffer_;

  std::mutex queue_mutex_;
  std::condition_variable queue_changed_;
  std::deque<Frame> queue_;
};

}  // namespace swtpm
