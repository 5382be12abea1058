// The one attached descriptor: starts and ends the loop that serves it. ATTACH and DETACH come from the verb
// thread, a loop's end from a pump thread, routes from the channel's thread.
#pragma once

#include <memory>
#include <mutex>

#include "common/tpm_result.h"
#include "common/unique_fd.h"
#include "engine/channel.h"
#include "engine/data_path.h"
#include "engine/loop.h"
#include "engine/pump_threads.h"

namespace swtpm {

class Attachment {
 public:
  Attachment(Channel& channel, DataPath& path, StorageGate& gate)
      : channel_(channel), path_(path), gate_(gate) {}

  // kTpmIoError: one is attached already, or there is no fd. kTpmBadParameter: unknown kind.
  TpmResult attach(uint32_t kind, uint32_t flags, UniqueFd fd);

  // Returns when nothing serves the descriptor any more and our copy is closed. Nothing attached is no error.
  TpmResult detach();

  // Of what is attached; every attached descriptor begins with the native route.
  void set_route(wire::Route route);

 private:
  void serve(const std::shared_ptr<Loop>& loop);

  Channel& channel_;
  DataPath& path_;
  StorageGate& gate_;
  std::mutex mutex_;
  std::shared_ptr<Loop> loop_;
  size_t threads_left_ = 0;
  PumpThreads threads_;
};

}  // namespace swtpm
