#include "engine/tpm/running_command.h"

#include <libtpms/tpm_library.h>
#include <poll.h>

#include "common/clock.h"
#include "engine/libcrypto/prime_search.h"

namespace swtpm {
namespace {

constexpr int64_t kRepeatForMs = 10;

}  // namespace

void RunningCommand::begin(bool searches_primes, const void* owner) {
  std::lock_guard lock(mutex_);
  number_++;
  runs_ = true;
  owner_ = owner;
  since_ms_ = coarse_now_ms();
  searches_primes_ = searches_primes;
  if (searches_primes) prime_search::begin();
}

bool RunningCommand::end() {
  std::lock_guard lock(mutex_);
  runs_ = false;
  return searches_primes_ && prime_search::end();
}

// libtpms clears its flag when a command begins, so a CANCEL that comes just then would be lost. In a
// command's first moments it is therefore repeated.
void RunningCommand::cancel(const void* owner) {
  std::unique_lock lock(mutex_);
  if (owner && owner_ != owner) return;
  uint64_t target = number_;
  while (runs_ && number_ == target) {
    TPMLIB_CancelCommand();
    if (searches_primes_) prime_search::cancel();
    if (coarse_now_ms() - since_ms_ > kRepeatForMs) return;
    lock.unlock();
    ::poll(nullptr, 0, 1);
    lock.lock();
  }
}

}  // namespace swtpm
