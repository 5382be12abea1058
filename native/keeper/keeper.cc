#include "keeper/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/stray_fds.h"
#include "keeper/confine.h"
#include "keeper/connection.h"
#include "keeper/engines.h"
#include "keeper/log.h"
#include "keeper/news.h"
#include "keeper/programs.h"
#include "keeper/rest.h"
#include "keeper/state_lock.h"

namespace swtpm::keeper {
namespace {

// What an engine may take to store the TPM after its channel was closed, and to be gone after it was killed.
constexpr int kEngineEndMs = 8000;
constexpr int kKilledEndMs = 2000;
// Node is started again after a failure, later and later.
constexpr int64_t kFirstPauseMs = 100;
constexpr int64_t kLongestPauseMs = 5000;
// After so many failures a client that waits for Node is told that it waits in vain.
constexpr int kPatience = 6;
// What Node may take to go on; some 50 ms, seconds on an emulated or busy machine.
constexpr int64_t kWakeMs = 30000;

Message g_message;
Engines g_engines;
Rest g_rest;

class Keeper {
 public:
  Keeper(int connection, pid_t node, int signals, int first)
      : connection_(connection), node_(node), signals_(signals), first_(first) {}

  int run() {
    while (!over_) wait_for_something();
    return exit_code_;
  }

 private:
  // ---- waiting

  void wait_for_something() {
    pollfd events[2 + wire::kMaxKeeperFds + kMaxEngines] = {{signals_, POLLIN, 0}, {connection_, POLLIN, 0}};
    bool asleep = resting_ && node_ < 0;
    // A client may close its connection while Node cannot be started.
    size_t watched = asleep ? g_rest.watch(events + 2, pausing()) : 0;
    size_t outputs = g_engines.watch_output(events + 2 + watched, kMaxEngines);
    if (poll(events, 2 + watched + outputs, timeout()) < 0 && errno != EINTR) _exit(1);
    g_engines.pass_on_output();
    if (events[1].revents) hear_node();
    if (events[0].revents) hear_signals();
    if (over_ || !resting_) return;
    if (node_ >= 0) {
      // It hangs: its end is noticed as that of any other.
      if (now_ms() >= wake_deadline_) kill(node_, SIGKILL);
      return;
    }
    bool called = called_;
    for (size_t i = 0; i < watched; i++) called = called || events[2 + i].revents;
    if (called && g_rest.client_has_gone()) return end_at_rest();
    if (called && !pausing()) wake();
  }

  // Node could not be started a moment ago.
  bool pausing() const { return next_start_ > now_ms(); }

  // Until something is to be done without being called; -1: nothing is.
  int timeout() const {
    if (!resting_ || (node_ < 0 && !called_)) return -1;
    int64_t left = (node_ >= 0 ? wake_deadline_ : next_start_) - now_ms();
    return left > 0 ? static_cast<int>(left) : 0;
  }

  void hear_signals() {
    while (int signal = over_ ? 0 : next_signal(signals_)) {
      if (signal == SIGCHLD)
        reap();
      else if (resting_ && node_ < 0 && signal != SIGUSR1 && signal != SIGUSR2)
        end_at_rest();
      else if (resting_ && signal != SIGUSR2 && news_.ask_for_the_end())
        kill(node_, SIGKILL);      // it takes too long to go on: the end follows
      else if (signal != SIGUSR1)  // Node would open its debugger
        tell(signal_event(signal));
    }
  }

  void reap() {
    g_engines.reap([this](pid_t pid, int status, bool is_engine) {
      if (pid == node_)
        node_ended(status);
      else if (is_engine)
        tell(end_event(pid, status));
    });
  }

  // ---- Node

  // At rest it is kept, too, until a Node has taken it.
  void tell(const Event& event) {
    if (resting_ && !news_.keep(event)) return;
    if (resting_) called_ = true;
    if (node_ >= 0) send_event(event);
  }

  void send_event(const Event& event) {
    events_sent_++;
    send(connection_, event.code, event.value, event.words, event.size);
  }

  void hear_node() {
    while (!over_ && connection_ >= 0) {
      int result = receive(connection_, g_message);
      if (result == 0) return;
      // Its end is reported by a signal.
      if (result < 0) return disconnect();
      answer();
      g_message.close_fds();
    }
  }

  void disconnect() {
    if (connection_ >= 0) close(connection_);
    connection_ = -1;
  }

  void answer() {
    switch (g_message.code) {
      case wire::kAskServe:
        return reply(serve());
      case wire::kAskReady:
        return reply(ready());
      case wire::kAskEngine:
        return reply(confined_ ? -EPERM : g_engines.describe(g_message));
      case wire::kAskUser:
        return reply(confined_ ? -EPERM : g_engines.set_user(g_message));
      case wire::kAskSpawn:
        return reply(news_.have_room_beside(g_engines.count()) ? g_engines.start(g_message) : -EAGAIN);
      case wire::kAskKill:
        return reply(g_engines.kill(static_cast<pid_t>(g_message.value)));
      case wire::kAskLock:
        return lock();
      case wire::kAskUnlock:
        return reply(lock_.let_go(g_engines.state_fd()));
      case wire::kAskConfine:
        return reply(confine_all());
      case wire::kAskRest:
        return rest();
      case wire::kAskResumed:
        return resumed();
      case wire::kAskNotify:
        if (service_manager_ < 0) service_manager_ = g_message.take(0);
        return reply(notify(g_message.bytes, g_message.size));
      default:
        return reply(-EINVAL);
    }
  }

  void reply(int value, const void* bytes = nullptr, size_t size = 0) {
    send(connection_, wire::kSayReply, static_cast<uint32_t>(value), bytes, size);
  }

  int serve() {
    if (served_) return -EALREADY;
    served_ = true;
    // What was handed in belongs to Node alone where Node says so; the rest is kept for who started us.
    close_on_exec_from(STDERR_FILENO + 1);
    for (size_t i = 0; i * sizeof(uint32_t) < g_message.size; i++) {
      int fd = static_cast<int>(g_message.word(i));
      if (fd > STDERR_FILENO && fd != connection_ && fd != signals_ && fd != first_) close(fd);
    }
    return getpid();
  }

  int ready() {
    if (first_ < 0) return 0;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++) dup2(null, fd);
    if (null > STDERR_FILENO) close(null);
    uint8_t word = 'R';
    if (write(first_, &word, 1) == 1) close(first_);
    first_ = -1;
    return 0;
  }

  void lock() {
    uint32_t holder = 0;
    int result = lock_.take(g_message, g_engines.state_fd(), holder);
    reply(result, &holder, result < 0 ? sizeof(holder) : 0);
  }

  int confine_all() {
    uint32_t flags = g_message.value;
    if (flags & wire::kConfineNeverRests) may_rest_ = false;
    if (flags & wire::kConfineBecomeUser && !g_engines.become_user()) return -errno;
    if (!(flags & wire::kConfineBecomeUser)) confined_ = true;
    bool filtered = flags & (wire::kConfineSeccompLog | wire::kConfineSeccompKill);
    return filtered && g_engines.are_unfiltered() ? -EPERM : confine(flags);
  }

  // The service manager believes the process that it has started.
  int notify(const void* text, size_t size) const {
    if (service_manager_ < 0) return 0;
    ssize_t sent = ::send(service_manager_, text, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? -errno : static_cast<int>(sent);
  }

  // What it has said last is still to be heard.
  void node_ended(int status) {
    hear_node();
    if (over_ || node_ < 0) return;
    node_ = -1;
    if (!resting_) return end(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    if (news_.ask_for_the_end()) return end_at_rest();
    char why[64];
    if (WIFSIGNALED(status))
      snprintf(why, sizeof(why), "it was killed by signal %d", WTERMSIG(status));
    else
      snprintf(why, sizeof(why), "it exited with status %d", WEXITSTATUS(status));
    put_off(why);
  }

  // ---- rest

  void rest() {
    if (!may_rest_) return reply(-EPERM);
    if (Rest::events_seen(g_message) != events_sent_) return reply(-EAGAIN);
    if (!g_rest.take(g_message)) return reply(-EINVAL);
    reply(0);
    resting_ = true;
    called_ = false;
    failures_ = 0;
    next_start_ = 0;
    node_ = -1;
    disconnect();
  }

  void wake() {
    int ends[2];
    if (!make_pair(ends, SOCK_SEQPACKET)) return put_off(strerror(errno));
    pid_t pid = start_node(ends[1], true);
    close(ends[1]);
    connection_ = ends[0];
    if (pid < 0) return put_off(strerror(-pid));
    node_ = pid;
    events_sent_ = 0;
    wake_deadline_ = now_ms() + kWakeMs;
    if (!g_rest.give(connection_, g_engines)) kill(node_, SIGKILL);
    news_.for_each([this](const Event& event) { send_event(event); });
  }

  // Node has everything.
  void resumed() {
    g_rest.close_fds();
    resting_ = false;
    news_.clear();
    reply(0);
  }

  // The TPM goes on; what was to be decided waits.
  void put_off(const char* why) {
    disconnect();
    if (failures_++ == 0)
      log("Cannot start \"%s\" again: %s; it is tried again, and the TPM goes on meanwhile", node_program(),
          why);
    int64_t pause = kFirstPauseMs;
    for (int i = 1; i < failures_ && pause < kLongestPauseMs; i++) pause *= 2;
    next_start_ = now_ms() + (pause < kLongestPauseMs ? pause : kLongestPauseMs);
    called_ = true;
    if (failures_ >= kPatience) g_rest.let_client_go();
  }

  // ---- the end

  void end_at_rest() {
    static constexpr char kStopping[] = "STOPPING=1";
    notify(kStopping, sizeof(kStopping) - 1);
    g_rest.remove_files();
    g_rest.close_fds();
    end(0);
  }

  // Without Node, and what it has left, an engine has no channel and no device: it shuts its TPM down and
  // ends.
  void end(int exit_code) {
    // A second request to end does not wait.
    auto hurry = [](int signal) {
      if (signal == SIGTERM || signal == SIGINT) g_engines.kill_all();
    };
    g_engines.wait_for_all(signals_, kEngineEndMs, hurry);
    if (g_engines.count() > 0) {
      log("The engine has not ended within %d s: it is killed", kEngineEndMs / 1000);
      g_engines.kill_all();
      g_engines.wait_for_all(signals_, kKilledEndMs, hurry);
    }
    exit_code_ = exit_code;
    over_ = true;
  }

  int connection_;  // -1 while Node is at rest
  pid_t node_;      // -1 while Node is at rest
  int signals_;
  int first_;  // the process that the user started, until it has been told of READY
  uint32_t events_sent_ = 0;
  int service_manager_ = -1;
  StateLock lock_;
  bool served_ = false;
  // What engines are, and who they run as, is not changed any more.
  bool confined_ = false;
  bool may_rest_ = true;
  // Node has gone to rest, and the next one has not everything yet.
  bool resting_ = false;
  // Node is to be started, without a descriptor having something to say.
  bool called_ = false;
  News news_;
  int failures_ = 0;
  int64_t next_start_ = 0;
  int64_t wake_deadline_ = 0;
  bool over_ = false;
  int exit_code_ = 1;
};

// What finding the programs has taken of the stack is not needed any more; it would be a tenth of the keeper.
void give_back_stack() {
  constexpr uintptr_t kMostBytes = 64 << 10;
  auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  uintptr_t end = (reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) / page - 1) * page;
  madvise(reinterpret_cast<void*>(end - kMostBytes), kMostBytes, MADV_DONTNEED);
}

}  // namespace

int keep(int connection, pid_t node, int signals, int first) {
  give_back_stack();
  return Keeper(connection, node, signals, first).run();
}

}  // namespace swtpm::keeper
