// The threads that serve an attached descriptor. They exist from the start, because the sandbox allows no new
// threads, and sleep while nothing is attached. They block in plain read(), accept() and write(). SIGUSR1
// interrupts these calls; it is sent again and again until the thread has returned, because a single signal
// could arrive just before the call.
#pragma once

#include <pthread.h>

#include <array>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace swtpm {

class PumpThreads {
 public:
  static constexpr size_t kCount = 2;

  // Installs the SIGUSR1 handler and starts the threads. They run until the process ends, with _exit().
  PumpThreads();
  PumpThreads(const PumpThreads&) = delete;
  PumpThreads& operator=(const PumpThreads&) = delete;

  // Runs job(0) … job(count - 1), each on its own thread, once these have finished earlier jobs.
  void start(size_t count, std::function<void(size_t)> job);

  // Interrupts blocking calls until all jobs have returned; the caller has told them to. `again` is called
  // each time, for what is no call.
  void interrupt_until_idle(const std::function<void()>& again);

 private:
  struct Worker {
    std::thread thread;
    std::function<void(size_t)> job;
    bool busy = false;
  };

  void work(size_t index);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::array<Worker, kCount> workers_;
};

}  // namespace swtpm
