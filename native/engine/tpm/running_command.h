// The command that libtpms executes now, as far as cancelling it goes. libtpms has one flag for "cancel", and
// the prime search another; neither says which command is meant. This class makes sure that a CANCEL only
// reaches the command that ran when it came: a command cannot end, and none can begin, in the middle of the
// act.
//
// The mutex is held for moments only, never while a command runs.
#pragma once

#include <cstdint>
#include <mutex>

namespace swtpm {

class RunningCommand {
 public:
  // A command begins. searches_primes: it may also be ended by prime_search::cancel(). owner: what tells it
  // from others, or null.
  void begin(bool searches_primes, const void* owner);

  // The command has ended. True: its search for primes was cut short by false results, so that what it has
  // done must be undone.
  bool end();

  // Any thread. Cancels the command that runs now, if one does, and does not wait for its end. owner: only if
  // it is this one's.
  void cancel(const void* owner = nullptr);

 private:
  std::mutex mutex_;
  uint64_t number_ = 0;  // of the command that runs or ran last
  bool runs_ = false;
  bool searches_primes_ = false;
  const void* owner_ = nullptr;
  int64_t since_ms_ = 0;
};

}  // namespace swtpm
