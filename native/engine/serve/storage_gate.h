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

  // True once the storage is locked. False if the command is to fail instead: the supervisor could not lock
  // the storage (SET_STORAGE 0 again), or turn_away() was called.
  bool wait() {
    if (locked_.load(std::memory_order_acquire)) return true;
    std::unique_lock lock(mutex_);
    uint64_t turn = turned_away_;
    lock.unlock();
    on_needed_();
    lock.lock();
    changed_.wait(lock, [&] { return locked_.load(std::memory_order_relaxed) || turned_away_ != turn; });
    return turned_away_ == turn;
  }

  bool locked() const { return locked_.load(std::memory_order_acquire); }

  void set_locked(bool locked) {
    std::lock_guard lock(mutex_);
    locked_.store(locked, std::memory_order_release);
    if (!locked) turned_away_++;
    changed_.notify_all();
  }

  // Has the commands that wait now fail: the TPM is stopped, or the device handed over.
  void turn_away() {
    std::lock_guard lock(mutex_);
    turned_away_++;
    changed_.notify_all();
  }

 private:
  std::function<void()> on_needed_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> locked_{true};
  uint64_t turned_away_ = 0;
};

}  // namespace swtpm
