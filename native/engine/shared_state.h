// The memory that the supervisor keeps while engines come and go: what one engine leaves to the next. It
// holds the device state (serve/device_state.h) and the TPM's checkpoint (tpm/checkpoint.h).
// docs/design/0005-succession.md has the layout.
#pragma once

#include "engine/serve/device_state.h"
#include "engine/serve/managed_device_state.h"
#include "engine/spaces/resource_manager.h"
#include "engine/tpm/checkpoint.h"
#include "engine/tpm/insecure_seed.h"

namespace swtpm {

class SharedState {
 public:
  // Maps `fd`, and closes it. Without one, or if it cannot be mapped (logged), the memory is private: the TPM
  // works, and ends with this engine.
  explicit SharedState(int fd);
  SharedState(const SharedState&) = delete;
  SharedState& operator=(const SharedState&) = delete;

  // False: another program's memory, or one of another layout. It must not be interpreted.
  bool usable() const;

  DeviceState& device();
  CheckpointMemory& checkpoint();
  insecure_seed::Position& seed();
  ManagedDeviceState& managed_device();
  spaces::GuestSessions& guest_sessions();

 private:
  struct Layout;

  Layout* layout_;  // until the process ends
};

}  // namespace swtpm
