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

  // Serves until the other side is gone for good, or until stopping() and an interrupted call. Called once
  // per thread.
  virtual void run() = 0;

  // How run() came to its end by itself: 0 for end of file.
  int end_errno() const { return end_errno_; }

  virtual void set_route(wire::Route) {}

  // Only when no thread is in run() any more.
  void close() { fd_.reset(); }

  enum class Stop { kNo, kNow, kBetweenMessages };

  void request_stop(Stop how) { stop_.store(how, std::memory_order_release); }
  bool stopping() const { return stop_.load(std::memory_order_acquire) != Stop::kNo; }

  // The connection that a loop which accepts some has now, and leaves open. Only when no thread is in run().
  virtual UniqueFd take_client() { return UniqueFd(); }

 protected:
  // A message that has begun to arrive is not waited for, either.
  bool stopping_now() const { return stop_.load(std::memory_order_acquire) == Stop::kNow; }

  UniqueFd fd_;
  std::atomic<int> end_errno_{0};

 private:
  std::atomic<Stop> stop_{Stop::kNo};
};

}  // namespace swtpm
