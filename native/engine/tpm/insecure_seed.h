// A TPM that does the same in every run: `--seed-insecure TEXT`. libtpms then gets its random numbers from a
// stream that the text decides, and its time from a count of commands. Whoever knows the text knows every
// key.
//
// Random numbers: AES-256 in counter mode. The key is SHA-256 of the text, the counter begins with the number
// of the engine, of those that have served this TPM since it was started. So an engine that takes over never
// repeats what the one before has drawn, and two runs in which the same happens agree.
//
// Where OpenSSL's FIPS provider is in use, keys that libcrypto makes by itself (TPM2_Create of an RSA key)
// come of that provider's own generator, and are other ones each time.
//
// Time: it begins at 2000-01-01 00:00:00 UTC, and each command adds a millisecond. It stands still while a
// command runs.
//
// Only what libtpms asks for is replaced, within a Scope: the engine's own time limits and the initialization
// vectors of state files go on as they are. Without the option nothing of this is asked, but for one flag for
// each look at a clock.
#pragma once

#include <stdint.h>
#include <time.h>

#include <string_view>

namespace swtpm::insecure_seed {

// In the shared state, as the next engine goes on with it. New memory is zero.
struct Position {
  uint64_t engines;
  uint64_t commands;
};

// Before libtpms is used for the first time, and before other threads run. `position` must last until the
// process ends.
void begin(std::string_view text, Position& position);

// A client's command, or one of the supervisor, comes to the TPM.
void count_command();

// While one exists this thread is within libtpms. Costs a store to a variable of the thread.
class Scope {
 public:
  Scope() : outer_(inside_) { inside_ = true; }
  ~Scope() { inside_ = outer_; }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 protected:
  static thread_local bool inside_;
  bool outer_;

  friend bool replaces_time();
};

// While one exists this thread is in a function of ours that libtpms has called.
class CallbackScope : Scope {
 public:
  CallbackScope() { inside_ = false; }
};

// Whether who asks for the time is to get now().
bool replaces_time();
timespec now();

}  // namespace swtpm::insecure_seed
