// Blocks data commands while the storage is not locked (SET_STORAGE 0, during a migration): another process
// may own the state. NvState holds back what the TPM stores meanwhile.
//
// A command waits with no other mutex held, so the storage can be locked, and the TPM stopped, while it does.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>

namespace swtpm {

class StorageGate {
 public:
  // on_needed runs in the waiting thread each time a command begins to wait.
  explicit StorageGate(std::function<void()> on_needed) : on_needed_(std::move(on_needed)) {}

  // Unless it is kLocked, the command is to fail.
  enum class Passage {
    kLocked,
    kUnlocked,   // the supervisor cannot lock the storage: SET_STORAGE 0 again
    kTurnedAway  // turn_away() was called
  };

  // Waits until the storage is locked.
  Passage wait() {
    if (locked_.load(std::memory_order_acquire)) return Passage::kLocked;
    std::unique_lock lock(mutex_);
    uint64_t turn = turned_away_;
    lock.unlock();
    on_needed_();
    lock.lock();
    changed_.wait(lock, [&] { return locked_.load(std::memory_order_relaxed) || turned_away_ != turn; });
    return turned_away_ == turn ? Passage::kLocked : why_;
  }

  bool locked() const { return locked_.load(std::memory_order_acquire); }

  void set_locked(bool locked) {
    std::lock_guard lock(mutex_);
    locked_.store(locked, std::memory_order_release);
    if (!locked) end_waiting(Passage::kUnlocked);
    changed_.notify_all();
  }

  // Has the commands that wait now fail: the TPM is stopped, or the device handed over.
  void turn_away() {
    std::lock_guard lock(mutex_);
    end_waiting(Passage::kTurnedAway);
    changed_.notify_all();
  }

 private:
  void end_waiting(Passage why) {
    turned_away_++;
    why_ = why;
  }

  std::function<void()> on_needed_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> locked_{true};
  uint64_t turned_away_ = 0;
  Passage why_ = Passage::kTurnedAway;  // those that waited then did not pass
};

}  // namespace swtpm
