// Executes the supervisor's requests. Urgent ones are answered by the thread that reads the channel; all
// others by the verb thread, one after the other, so that a CANCEL never queues behind what it is to cancel.
//
// What a verb means is in swtpm_ioctls(3) and docs/design/0001-engine-wire.md; the TPM's part is in Tpm.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "engine/attachment.h"
#include "engine/channel.h"
#include "engine/storage_gate.h"
#include "engine/tpm.h"
#include "state/nv_state.h"

namespace swtpm {

class Control {
 public:
  Control(Channel& channel, Tpm& tpm, NvState& state, StorageGate& gate, Attachment& attachment);
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
    Bytes (Control::*handler)(ByteReader& body, UniqueFd& fd);
  };

  static const Verb kVerbs[];
  static const Verb* find(uint32_t code);
  static bool is_urgent(const Verb& verb, const Frame& frame);

  void execute(Frame& frame);
  Bytes answer(Frame& frame);
  void verb_thread();

  Bytes init(ByteReader& body, UniqueFd& fd);
  Bytes stop(ByteReader& body, UniqueFd& fd);
  Bytes get_established(ByteReader& body, UniqueFd& fd);
  Bytes set_locality(ByteReader& body, UniqueFd& fd);
  Bytes hash_start(ByteReader& body, UniqueFd& fd);
  Bytes hash_data(ByteReader& body, UniqueFd& fd);
  Bytes hash_end(ByteReader& body, UniqueFd& fd);
  Bytes cancel(ByteReader& body, UniqueFd& fd);
  Bytes store_volatile(ByteReader& body, UniqueFd& fd);
  Bytes reset_established(ByteReader& body, UniqueFd& fd);
  Bytes get_stateblob(ByteReader& body, UniqueFd& fd);
  Bytes set_stateblob(ByteReader& body, UniqueFd& fd);
  Bytes get_config(ByteReader& body, UniqueFd& fd);
  Bytes set_buffersize(ByteReader& body, UniqueFd& fd);
  Bytes get_info(ByteReader& body, UniqueFd& fd);
  Bytes attach(ByteReader& body, UniqueFd& fd);
  Bytes detach(ByteReader& body, UniqueFd& fd);
  Bytes process(ByteReader& body, UniqueFd& fd);
  Bytes set_route(ByteReader& body, UniqueFd& fd);
  Bytes set_key(ByteReader& body, UniqueFd& fd);
  Bytes set_storage(ByteReader& body, UniqueFd& fd);
  Bytes set_profile(ByteReader& body, UniqueFd& fd);
  Bytes peek_state(ByteReader& body, UniqueFd& fd);

  Channel& channel_;
  Tpm& tpm_;
  NvState& state_;
  StorageGate& gate_;
  Attachment& attachment_;
  ResponseBuffer process_buffer_;

  std::mutex queue_mutex_;
  std::condition_variable queue_changed_;
  std::deque<Frame> queue_;
};

}  // namespace swtpm
