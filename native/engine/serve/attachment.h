// The one attached descriptor: starts and ends the loop that serves it. ATTACH and HAND_OVER come from the
// verb thread, a loop's end from a pump thread, routes from the channel's thread.
#pragma once

#include <memory>
#include <mutex>

#include "common/tpm_result.h"
#include "common/unique_fd.h"
#include "engine/channel/channel.h"
#include "engine/serve/data_path.h"
#include "engine/serve/device_state.h"
#include "engine/serve/loop.h"
#include "engine/serve/managed_device_state.h"
#include "engine/serve/pump_threads.h"
#include "engine/spaces/resource_manager.h"

namespace swtpm {

// What serves many clients at once.
struct ManagedParts {
  spaces::ResourceManager& manager;
  ManagedDeviceState& device;
  int wake_fd;  // an eventfd(2)
};

class Attachment {
 public:
  // closed: the event that says that what was attached is gone. managed: null where no clients are served at
  // once.
  Attachment(Channel& channel, DataPath& path, DeviceState& device, ManagedParts* managed, wire::Event closed)
      : channel_(channel), path_(path), device_(device), managed_(managed), closed_(closed) {}

  // kTpmIoerror: one is attached already, or there is no fd. kTpmBadParameter: unknown kind.
  // client: what take_client() of another engine's loop had.
  TpmResult attach(uint32_t kind, uint32_t flags, UniqueFd fd, UniqueFd client);

  // Detaches between two messages: returns when nothing serves the descriptor any more and this process's
  // copy is closed. An unread response stays in the device state. Returns the client that a listener has
  // accepted, if there is one. Nothing attached is no error.
  UniqueFd hand_over();

  // Of what is attached; every attached descriptor begins with the native route.
  void set_route(wire::Route route);

 private:
  std::shared_ptr<Loop> make_loop(wire::AttachKind kind, uint32_t flags, UniqueFd fd, UniqueFd client);
  void serve(const std::shared_ptr<Loop>& loop);

  Channel& channel_;
  DataPath& path_;
  DeviceState& device_;
  ManagedParts* managed_;
  const wire::Event closed_;
  std::mutex mutex_;
  std::shared_ptr<Loop> loop_;
  size_t threads_left_ = 0;
  PumpThreads threads_;
};

}  // namespace swtpm
