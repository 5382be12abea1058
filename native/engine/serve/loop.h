// What serves an attached descriptor, whatever its kind. The attachment runs it on the pump threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "common/unique_fd.h"
#include "generated/contract.h"

namespace swtpm {

class Loop {
 public:
  explicit Loop(UniqueFd fd) : fd_(std::move(fd)) {}
  virtual ~Loop() = default;

  virtual size_t thread_count() const { return 1; }

  // Serves until the other side is gone for good, or, once request_stop() was called, until the next message
  // would begin. Called once per thread.
  virtual void run() = 0;

  // Why run() returned by itself: 0 for end of file.
  int end_errno() const { return end_errno_; }

  virtual void set_route(wire::Route) {}

  // Only when no thread is in run() any more.
  virtual void close() { fd_.reset(); }

  // Any thread; the caller also interrupts blocking calls.
  void request_stop() {
    stopping_.store(true, std::memory_order_release);
    on_stop();
  }
  bool stopping() const { return stopping_.load(std::memory_order_acquire); }

  // The connection that a loop which accepts some has now; it stays open. Only when no thread is in run().
  virtual UniqueFd take_client() { return UniqueFd(); }

 protected:
  // For what waits otherwise than in a system call.
  virtual void on_stop() {}

  UniqueFd fd_;
  std::atomic<int> end_errno_{0};

 private:
  std::atomic<bool> stopping_{false};
};

}  // namespace swtpm
