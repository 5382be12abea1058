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
#include "state/nv_state.h"

namespace swtpm {

class Control {
 public:
  Control(Channel& channel, Tpm& tpm, NvState& state, Heritage& heritage, StorageGate& gate,
          Attachment& attachment);
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  // Reads and serves requests until the channel ends. Requests not begun by then are dropped: nobody waits
  // for them.
  void run();

 private:
  enum class When { kAnyTime, kRunning, kStopped };
  enum class Thread { kUrgent, kVerb };

  struct Verb {
    wire::Code code;
    When when;
    Thread thread;
    size_t min_body;  // bytes after the code
    size_t max_body;
    Bytes (Control::*handler)(ByteReader& body, Frame& frame);
  };

  static const Verb kVerbs[];
  static const Verb* find(uint32_t code);
  static bool is_urgent(const Verb& verb, const Frame& frame);

  void execute(Frame& frame);
  Bytes answer(Frame& frame);
  void verb_thread();

  Bytes init(ByteReader& body, Frame& frame);
  Bytes stop(ByteReader& body, Frame& frame);
  Bytes get_established(ByteReader& body, Frame& frame);
  Bytes set_locality(ByteReader& body, Frame& frame);
  Bytes hash_start(ByteReader& body, Frame& frame);
  Bytes hash_data(ByteReader& body, Frame& frame);
  Bytes hash_end(ByteReader& body, Frame& frame);
  Bytes cancel(ByteReader& body, Frame& frame);
  Bytes store_volatile(ByteReader& body, Frame& frame);
  Bytes reset_established(ByteReader& body, Frame& frame);
  Bytes get_stateblob(ByteReader& body, Frame& frame);
  Bytes set_stateblob(ByteReader& body, Frame& frame);
  Bytes get_config(ByteReader& body, Frame& frame);
  Bytes set_buffersize(ByteReader& body, Frame& frame);
  Bytes get_info(ByteReader& body, Frame& frame);
  Bytes attach(ByteReader& body, Frame& frame);
  Bytes detach(ByteReader& body, Frame& frame);
  Bytes process(ByteReader& body, Frame& frame);
  Bytes set_route(ByteReader& body, Frame& frame);
  Bytes set_key(ByteReader& body, Frame& frame);
  Bytes set_storage(ByteReader& body, Frame& frame);
  Bytes set_profile(ByteReader& body, Frame& frame);
  Bytes peek_state(ByteReader& body, Frame& frame);
  Bytes resume(ByteReader& body, Frame& frame);
  Bytes hand_over(ByteReader& body, Frame& frame);

  Channel& channel_;
  Tpm& tpm_;
  NvState& state_;
  Heritage& heritage_;
  StorageGate& gate_;
  Attachment& attachment_;
  ResponseBuffer process_buffer_;

  std::mutex queue_mutex_;
  std::condition_variable queue_changed_;
  std::deque<Frame> queue_;
};

}  // namespace swtpm
