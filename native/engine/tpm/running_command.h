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
  // A command begins. searches_primes: it may also be ended by prime_search::cancel().
  void begin(bool searches_primes);

  // The command has ended. True: its search for primes was cut short by false results, so that what it has
  // done must be undone.
  bool end();

  // Any thread. Cancels the command that runs now, if one does, and does not wait for its end.
  void cancel();

 private:
  std::mutex mutex_;
  uint64_t number_ = 0;  // of the command that runs or ran last
  bool runs_ = false;
  bool searches_primes_ = false;
  int64_t since_ms_ = 0;
};

}  // namespace swtpm
