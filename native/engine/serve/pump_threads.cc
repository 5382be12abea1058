#include "engine/serve/pump_threads.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <latch>

namespace swtpm {

PumpThreads::PumpThreads() {
  struct sigaction action {};
  action.sa_handler = [](int) {};  // no SA_RESTART: the point is that calls return EINTR
  sigaction(SIGUSR1, &action, nullptr);
  // A thread's first steps are system calls that the sandbox does not allow: wait until they are done.
  std::latch started(kCount);
  for (size_t i = 0; i < kCount; i++) {
    workers_[i].thread = std::thread([this, i, &started] {
      started.count_down();
      work(i);
    });
  }
  started.wait();
}

void PumpThreads::work(size_t index) {
  Worker& worker = workers_[index];
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return worker.busy; });
    lock.unlock();
    worker.job(index);
    lock.lock();
    worker.job = nullptr;
    worker.busy = false;
    changed_.notify_all();
  }
}

void PumpThreads::start(size_t count, std::function<void(size_t)> job) {
  std::unique_lock lock(mutex_);
  changed_.wait(
      lock, [&] { return std::none_of(workers_.begin(), workers_.end(), [](auto& w) { return w.busy; }); });
  for (size_t i = 0; i < count; i++) {
    workers_[i].job = job;
    workers_[i].busy = true;
  }
  changed_.notify_all();
}

void PumpThreads::interrupt_until_idle(const std::function<void()>& again) {
  std::unique_lock lock(mutex_);
  auto pause = std::chrono::milliseconds(1);
  while (true) {
    bool idle = true;
    for (Worker& worker : workers_) {
      if (!worker.busy) continue;
      idle = false;
      pthread_kill(worker.thread.native_handle(), SIGUSR1);
    }
    if (idle) return;
    again();
    changed_.wait_for(lock, pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(20));
  }
}

}  // namespace swtpm
