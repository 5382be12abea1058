#include "addon/other_threads.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <set>
#include <string>

#include "common/unique_fd.h"

namespace swtpm::addon {
namespace {

constexpr int kSetxidSignal = 33;
constexpr int kRounds = 2000;
constexpr timespec kPause{0, 1'000'000};

// What a thread does when the signal arrives. Null: the signal is late, and the supervisor may have forbidden
// the system calls by now.
std::atomic<void (*)()> g_action{nullptr};

void OnSignal(int) {
  const int saved_errno = errno;
  if (auto* action = g_action.load()) action();
  errno = saved_errno;
}

// struct sigaction as the kernel has it. Its members after the first differ between architectures.
using KernelAction = std::array<unsigned char, 64>;

long KernelSigaction(int signal, const KernelAction* action, KernelAction* old) {
  return syscall(SYS_rt_sigaction, signal, action, old, _NSIG / 8);
}

// While one exists, OnSignal() handles the signal. It goes on doing so, without effect, unless all threads
// have followed: to the C library, a late signal would be one of its own.
class Handler {
 public:
  explicit Handler(void (*action)()) {
    g_action.store(action);
    // How a handler returns is known to the C library only. So let it install this handler on another signal,
    // and copy what the kernel then has.
    struct sigaction ours {};
    ours.sa_handler = OnSignal;
    ours.sa_flags = SA_RESTART;
    struct sigaction other {};
    KernelAction action_of_kernel{};
    sigaction(SIGRTMAX, &ours, &other);
    KernelSigaction(SIGRTMAX, nullptr, &action_of_kernel);
    sigaction(SIGRTMAX, &other, nullptr);
    KernelSigaction(kSetxidSignal, &action_of_kernel, &before_);
  }
  ~Handler() {
    g_action.store(nullptr);
    if (all_followed_) KernelSigaction(kSetxidSignal, &before_, nullptr);
  }
  void AllFollowed() { all_followed_ = true; }
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;

 private:
  KernelAction before_{};
  bool all_followed_ = false;
};

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

// A thread that has ended is not due.
bool IsDue(int tasks, const char* thread, bool (*is_due)(const char* status)) {
  const UniqueFd fd(openat(tasks, (std::string(thread) + "/status").c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return false;
  std::array<char, 4096> text{};
  return read(fd.get(), text.data(), text.size() - 1) > 0 && is_due(text.data());
}

}  // namespace

int RunInOtherThreads(void (*action)(), bool (*is_due)(const char* status)) {
  const std::unique_ptr<DIR, CloseDirectory> directory(opendir("/proc/self/task"));
  if (!directory) return -errno;
  const auto self = std::to_string(syscall(SYS_gettid));
  Handler handler(action);
  // One signal for each thread, so that none is left when the handler is gone.
  std::set<int> told;
  // A thread that has not followed yet may start another: look until none is due.
  for (int round = 0; round < kRounds; round++) {
    bool all = true;
    rewinddir(directory.get());
    while (const dirent* entry = readdir(directory.get())) {
      if (entry->d_name[0] == '.' || self == entry->d_name) continue;
      if (!IsDue(dirfd(directory.get()), entry->d_name, is_due)) continue;
      all = false;
      const int thread = atoi(entry->d_name);
      if (told.insert(thread).second) syscall(SYS_tgkill, getpid(), thread, kSetxidSignal);
    }
    if (all) {
      handler.AllFollowed();
      return 0;
    }
    nanosleep(&kPause, nullptr);
  }
  return -ETIMEDOUT;
}

}  // namespace swtpm::addon
