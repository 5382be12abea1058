#include "addon/capabilities.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "addon/arguments.h"

namespace swtpm::addon {
namespace {

// The C libraries' own signal for such errands (setuid(2) concerns every thread). No thread can block it with
// pthread_sigmask(), and some of Node's block everything else. Ours while `g_errand` is held.
constexpr int kErrandSignal = 33;
// As the kernel has it; the members behind the first differ between architectures.
using KernelAction = std::array<unsigned char, 64>;

std::mutex g_errand;
std::atomic<uint64_t> g_keep;
// False: too late. The supervisor may have forbidden the system calls by now.
std::atomic<bool> g_wanted;

// Calling thread. Raw system calls only: it runs in a signal handler.
long DropOwn() {
  const uint64_t keep = g_keep.load();
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++) {
    prctl(PR_CAPBSET_DROP, capability);
  }
  // A kernel without ambient capabilities has none to clear.
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, words) < 0) return -1;
  for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
    words[i].permitted &= static_cast<uint32_t>(keep >> 32 * i);
    words[i].effective &= static_cast<uint32_t>(keep >> 32 * i);
    words[i].inheritable = 0;
  }
  return syscall(SYS_capset, &header, words);
}

void OnErrand(int) {
  const int saved_errno = errno;
  if (g_wanted.load()) DropOwn();
  errno = saved_errno;
}

long KernelSigaction(int signal, const KernelAction* action, KernelAction* old) {
  return syscall(SYS_rt_sigaction, signal, action, old, _NSIG / 8);
}

// Has OnErrand() called on `kErrandSignal`, which sigaction() refuses to touch; for ever, unless every thread
// has been there.
class Errand {
 public:
  Errand() {
    g_wanted.store(true);
    // How a handler comes back is the C library's secret: let it install ours on another signal, and copy
    // that.
    struct sigaction ours {};
    ours.sa_handler = OnErrand;
    ours.sa_flags = SA_RESTART;
    struct sigaction other {};
    KernelAction action{};
    sigaction(SIGRTMAX, &ours, &other);
    KernelSigaction(SIGRTMAX, nullptr, &action);
    sigaction(SIGRTMAX, &other, nullptr);
    KernelSigaction(kErrandSignal, &action, &before_);
  }
  ~Errand() {
    g_wanted.store(false);
    if (done_) KernelSigaction(kErrandSignal, &before_, nullptr);
  }
  void Done() { done_ = true; }
  Errand(const Errand&) = delete;
  Errand& operator=(const Errand&) = delete;

 private:
  KernelAction before_{};
  bool done_ = false;
};

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

// Whether the thread has anything that is not to be kept; not if it has ended.
bool HasMore(int tasks, const char* thread) {
  const int fd = openat(tasks, (std::string(thread) + "/status").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  std::array<char, 4096> text{};
  const ssize_t size = read(fd, text.data(), text.size() - 1);
  close(fd);
  if (size <= 0) return false;
  const auto more = [&](const char* name) {
    const char* field = strstr(text.data(), name);
    return field != nullptr && (strtoull(field + strlen(name), nullptr, 16) & ~g_keep.load()) != 0;
  };
  return more("\nCapPrm:") || more("\nCapEff:");
}

// 0 or -errno: -ENOENT without /proc, -ETIMEDOUT when a thread does not follow.
int DropInOtherThreads() {
  const std::unique_ptr<DIR, CloseDirectory> directory(opendir("/proc/self/task"));
  if (!directory) return -errno;
  const auto self = std::to_string(syscall(SYS_gettid));
  Errand errand;
  // Once each: a signal that stays behind would find another handler, or the system calls forbidden.
  std::set<int> told;
  // Threads may be started meanwhile, by some that have not followed yet.
  constexpr int rounds = 2000;
  constexpr timespec pause{0, 1'000'000};
  for (int round = 0; round < rounds; round++) {
    bool all = true;
    rewinddir(directory.get());
    while (const dirent* entry = readdir(directory.get())) {
      if (entry->d_name[0] == '.' || self == entry->d_name) continue;
      if (!HasMore(dirfd(directory.get()), entry->d_name)) continue;
      all = false;
      const int thread = atoi(entry->d_name);
      if (told.insert(thread).second) syscall(SYS_tgkill, getpid(), thread, kErrandSignal);
    }
    if (all) {
      errand.Done();
      return 0;
    }
    nanosleep(&pause, nullptr);
  }
  return -ETIMEDOUT;
}

// dropCapabilities([kept…]) -> 0, 1 if the bounding set stays for want of CAP_SETPCAP (a set-uid program
// could then gain capabilities: see setNoNewPrivileges), or -errno. All threads; the calling one has changed
// even if others could not be reached.
Napi::Value DropCapabilities(const Napi::CallbackInfo& info) {
  uint64_t keep = 0;
  if (info[0].IsArray()) {
    const auto list = info[0].As<Napi::Array>();
    for (uint32_t i = 0; i < list.Length(); i++) {
      const Napi::Value capability = list[i];
      uint32_t number;
      if (napi_get_value_uint32(info.Env(), capability, &number) != napi_ok || number > 63) {
        return Result(info, -EINVAL);
      }
      keep |= uint64_t{1} << number;
    }
  }
  const std::lock_guard lock(g_errand);
  g_keep.store(keep);
  if (DropOwn() < 0) return SystemResult(info, -1);
  if (const int error = DropInOtherThreads(); error < 0) return Result(info, error);
  return Result(info, prctl(PR_CAPBSET_READ, CAP_CHOWN) == 1 ? 1 : 0);
}

}  // namespace

void RegisterCapabilities(Napi::Env env, Napi::Object exports) {
  exports.Set("dropCapabilities", Napi::Function::New<DropCapabilities>(env, "dropCapabilities"));
}

}  // namespace swtpm::addon
