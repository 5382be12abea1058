// What serves many clients of one TPM: one thread listens to all of them, and the other executes their
// commands, one after the other in the order in which they came. A client has one command at a time, so no
// client is served twice before another one that waits.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

#include "engine/serve/data_path.h"
#include "engine/serve/loop.h"
#include "engine/spaces/visit.h"

namespace swtpm {

// A client's part in the TPM; destroyed, it has none any more.
struct ManagedTpm {
  ManagedTpm(spaces::ResourceManager& manager) : manager(manager), visit(manager, space) {}
  // Waits for the TPM.
  ~ManagedTpm() { manager.close(space); }

  spaces::ResourceManager& manager;
  spaces::Space space;
  spaces::Visit visit;
};

class ManagedLoop : public Loop {
 public:
  ManagedLoop(UniqueFd fd, DataPath& path, spaces::ResourceManager& manager)
      : Loop(std::move(fd)), path_(path), manager_(manager) {}

  size_t thread_count() const override { return 2; }
  void run() override {
    if (threads_++ == 0) {
      listen();
      std::lock_guard lock(jobs_mutex_);
      listened_ = true;
      jobs_changed_.notify_all();
    } else {
      work();
    }
  }

 protected:
  // Until stopping(), or until there is nothing to listen to: end_errno_ then.
  virtual void listen() = 0;

  void add_job(std::function<void()> job) {
    std::lock_guard lock(jobs_mutex_);
    jobs_.push_back(std::move(job));
    jobs_changed_.notify_one();
  }

  DataPath& path_;
  spaces::ResourceManager& manager_;

 private:
  // What has been read is done, also when this is to stop.
  void work() {
    std::unique_lock lock(jobs_mutex_);
    while (true) {
      jobs_changed_.wait(lock, [&] { return !jobs_.empty() || listened_; });
      if (jobs_.empty()) return;
      auto job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      job = nullptr;
      lock.lock();
    }
  }

  std::atomic<size_t> threads_{0};
  std::mutex jobs_mutex_;  // guards what follows
  std::condition_variable jobs_changed_;
  std::deque<std::function<void()>> jobs_;
  bool listened_ = false;
};

}  // namespace swtpm
