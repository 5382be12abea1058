// What an engine leaves to the next one of a CUSE device with many clients: whom the kernel has waiting. It
// lies in the shared state, plain data. What the clients have in the TPM goes with the engine.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/shared_atomic.h"

namespace swtpm {

// Numbers, of which 0 is none.
template <size_t size>
struct SharedNumbers {
  SharedAtomic<uint64_t> numbers[size];

  // False: there is no room.
  bool add(uint64_t number) {
    for (auto& slot : numbers) {
      if (slot.load(std::memory_order_relaxed) != 0) continue;
      slot.store(number, std::memory_order_release);
      return true;
    }
    return false;
  }
  void remove(uint64_t number) {
    for (auto& slot : numbers)
      if (slot.load(std::memory_order_relaxed) == number) return slot.store(0, std::memory_order_release);
  }
};

struct ManagedDeviceState {
  // Of the request that was read last.
  SharedAtomic<uint64_t> last_unique;
  // FUSE requests without a reply: the one that is handled, and READs that wait.
  SharedNumbers<512> waiting;
  // Kernel handles of those who wait in poll().
  SharedNumbers<512> pollers;

  void clear() {
    last_unique.store(0);
    for (auto* numbers : {&waiting, &pollers})
      for (auto& slot : numbers->numbers) slot.store(0);
  }
};

}  // namespace swtpm
