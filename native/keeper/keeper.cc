#include "keeper/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "keeper/confine.h"
#include "keeper/programs.h"

namespace swtpm::keeper {
namespace {

// One runs, and another one may be about to take its place, or to end.
constexpr size_t kMaxEngines = 8;
// What an engine may take to store the TPM after its channel was closed, and to be gone after it was killed.
constexpr int64_t kEngineEndMs = 8000;
constexpr int64_t kKilledEndMs = 2000;
// Node is started again after a failure, later and later.
constexpr int64_t kFirstPauseMs = 100;
constexpr int64_t kLongestPauseMs = 5000;
// After so many failures a client that waits for Node is told that it waits in vain.
constexpr int kPatience = 6;
// What Node may take to go on; some 50 ms, seconds on an emulated or busy machine.
constexpr int64_t kWakeMs = 30000;
// The ends of a virtual machine's connections come one after the other.
constexpr int kClientEndMs = 5;

Message g_message;
EngineStart g_engine;
User g_user;

// What Node has left when it went to rest.
struct Rest {
  uint32_t flags;
  size_t watched;
  char paths[4096];  // to be removed when the TPM ends meanwhile, each followed by a NUL
  size_t paths_size;
  uint8_t told[wire::kMaxKeeperMessageBytes];  // to the next Node
  size_t told_size;
  int fds[wire::kMaxKeeperFds];
  size_t fd_count;
};
Rest g_rest;

int64_t now_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// What Node is told unasked.
struct Event {
  uint32_t code;
  uint32_t value;
  uint8_t bytes[8];
  size_t size;
};
constexpr size_t kMaxPending = 16;

class Keeper {
 public:
  Keeper(int connection, pid_t node, int signals, int first)
      : connection_(connection), node_(node), signals_(signals), first_(first) {}

  int run() {
    while (!over_) {
      if (node_ < 0 && !resting_) break;
      wait_for_something();
    }
    return exit_code_;
  }

 private:
  // ---- waiting

  void wait_for_something() {
    pollfd events[2 + wire::kMaxKeeperFds] = {{signals_, POLLIN, 0}, {connection_, POLLIN, 0}};
    bool asleep = resting_ && node_ < 0;
    // A client may close its connection while Node cannot be started.
    size_t watched = !asleep                                   ? 0
                     : !pausing()                              ? g_rest.watched
                     : g_rest.flags & wire::kRestEndWithClient ? 1
                                                               : 0;
    for (size_t i = 0; i < watched; i++)
      events[2 + i] = {g_rest.fds[i], static_cast<short>(pausing() ? POLLRDHUP : POLLIN | POLLRDHUP), 0};
    if (poll(events, 2 + watched, timeout()) < 0 && errno != EINTR) _exit(1);
    if (events[1].revents) hear_node();
    if (events[0].revents) hear_signals();
    if (over_ || !resting_) return;
    if (node_ >= 0) {
      // It hangs: its end is noticed as that of any other.
      if (now_ms() >= wake_deadline_) kill(node_, SIGKILL);
      return;
    }
    bool called = news_;
    for (size_t i = 0; i < watched; i++) called = called || events[2 + i].revents;
    if (called && client_has_gone()) return end_at_rest();
    if (called && !pausing()) wake();
  }

  // Node could not be started a moment ago.
  bool pausing() const { return next_start_ > now_ms(); }

  // Until something is to be done without being called; -1: nothing is.
  int timeout() const {
    if (!resting_) return -1;
    int64_t when = node_ >= 0 ? wake_deadline_ : news_ ? next_start_ : 0;
    if (when == 0) return news_ ? 0 : -1;
    int64_t left = when - now_ms();
    return left > 0 ? static_cast<int>(left) : 0;
  }

  // Whether the client with which the TPM is to end has closed its connection, and left nothing to be read.
  bool client_has_gone() const {
    if (!(g_rest.flags & wire::kRestEndWithClient)) return false;
    pollfd client{g_rest.fds[0], POLLIN | POLLRDHUP, 0};
    return poll(&client, 1, kClientEndMs) > 0 && peek_at_client() == 0;
  }

  // What recv() says of the client: 0 it has closed its connection, positive it has said something.
  static ssize_t peek_at_client() {
    uint8_t byte;
    return recv(g_rest.fds[0], &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  }

  void hear_signals() {
    signalfd_siginfo info;
    while (!over_ && read(signals_, &info, sizeof(info)) == sizeof(info)) {
      int signal = static_cast<int>(info.ssi_signo);
      if (signal == SIGCHLD)
        reap();
      else if (resting_ && node_ < 0 && signal != SIGUSR1 && signal != SIGUSR2)
        end_at_rest();
      else if (resting_ && signal != SIGUSR2 && asked_to_end())
        kill(node_, SIGKILL);      // it takes too long to go on: the end follows
      else if (signal != SIGUSR1)  // Node would open its debugger
        tell(wire::kSaySignal, static_cast<uint32_t>(signal));
    }
  }

  // ---- Node

  // To Node. At rest it is kept until a Node has taken it.
  void tell(uint32_t code, uint32_t value, const void* bytes = nullptr, size_t size = 0) {
    Event event{code, value, {}, size};
    if (size) memcpy(event.bytes, bytes, size);
    if (resting_ && pending_count_ < kMaxPending) {
      pending_[pending_count_++] = event;
      news_ = true;
    }
    if (node_ >= 0) send_event(event);
  }

  void send_event(const Event& event) {
    events_sent_++;
    send(connection_, event.code, event.value, event.bytes, event.size);
  }

  void hear_node() {
    while (!over_ && connection_ >= 0) {
      int result = receive(connection_, g_message);
      if (result == 0) return;
      if (result < 0) {
        // Its end is reported by a signal.
        close(connection_);
        connection_ = -1;
        return;
      }
      answer();
      g_message.close_fds();
    }
  }

  void answer() {
    uint32_t code = g_message.code;
    switch (code) {
      case wire::kAskServe:
        return serve();
      case wire::kAskReady:
        return ready();
      case wire::kAskEngine:
        return reply(engine());
      case wire::kAskUser:
        return reply(user());
      case wire::kAskSpawn:
        return reply(spawn());
      case wire::kAskKill:
        return reply(is_engine(pid_value()) ? result(kill(pid_value(), SIGKILL)) : -ESRCH);
      case wire::kAskLock:
        return lock();
      case wire::kAskUnlock:
        return reply(unlock());
      case wire::kAskConfine:
        return reply(confine_all());
      case wire::kAskRest:
        return rest();
      case wire::kAskResumed:
        return resumed();
      case wire::kAskNotify:
        if (g_message.fd_count > 0) service_manager_ = g_message.take(0);
        return reply(result(notify(g_message.bytes, g_message.size)));
      default:
        return reply(-EINVAL);
    }
  }

  pid_t pid_value() const { return static_cast<pid_t>(g_message.value); }

  static int result(int value) { return value < 0 ? -errno : value; }

  void reply(int value, const void* bytes = nullptr, size_t size = 0) {
    send(connection_, wire::kSayReply, static_cast<uint32_t>(value), bytes, size);
  }

  void serve() {
    // What was handed in belongs to Node alone where Node says so; the rest is kept for who started us.
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    for (size_t i = 0; i * sizeof(uint32_t) < g_message.size; i++) {
      int fd = static_cast<int>(g_message.word(i));
      if (fd > 2 && fd != connection_ && fd != signals_ && fd != first_) close(fd);
    }
    reply(getpid());
  }

  void ready() {
    if (first_ >= 0) {
      int null = open("/dev/null", O_RDWR | O_CLOEXEC);
      for (int fd = 0; null >= 0 && fd <= 2; fd++) dup2(null, fd);
      if (null > 2) close(null);
      uint8_t word = 'R';
      if (write(first_, &word, 1) == 1) close(first_);
      first_ = -1;
    }
    reply(0);
  }

  int user() {
    g_user.given = true;
    g_user.uid = g_message.value;
    g_user.gid = g_message.word(0);
    g_user.group_count = g_message.size / sizeof(uint32_t) - 1;
    if (g_user.group_count > sizeof(g_user.groups) / sizeof(gid_t)) return -E2BIG;
    for (size_t i = 0; i < g_user.group_count; i++) g_user.groups[i] = g_message.word(i + 1);
    return 0;
  }

  int confine_all() {
    if (g_message.value & wire::kConfineNeverRests) may_rest_ = false;
    if (g_message.value & wire::kConfineBecomeUser && !become(g_user)) return -errno;
    return confine(g_message.value);
  }

  // The service manager believes the process that it has started.
  int notify(const void* text, size_t size) {
    if (service_manager_ < 0) return 0;
    return static_cast<int>(::send(service_manager_, text, size, MSG_NOSIGNAL | MSG_DONTWAIT));
  }

  // ---- engines

  int engine() {
    if (g_engine.size > 0) return -EALREADY;
    if (g_message.size == 0 || g_message.bytes[g_message.size - 1] != 0 || g_message.fd_count < 2)
      return -EINVAL;
    memcpy(g_engine.words, g_message.bytes, g_message.size);
    g_engine.size = g_message.size;
    g_engine.state_fd = g_message.take(0);
    g_engine.shared_fd = g_message.take(1);
    g_engine.log_fd = g_message.take(2);
    return 0;
  }

  int spawn() {
    if (g_engine.size == 0 || g_message.fd_count != 1) return -EINVAL;
    for (pid_t& slot : engines_) {
      if (slot != 0) continue;
      pid_t pid = start_engine(g_engine, g_user, g_message.fds[0]);
      if (pid > 0) slot = pid;
      return pid;
    }
    return -EAGAIN;
  }

  bool is_engine(pid_t pid) const {
    for (pid_t engine : engines_)
      if (engine == pid) return pid > 0;
    return false;
  }

  bool engines_run() const {
    for (pid_t engine : engines_)
      if (engine != 0) return true;
    return false;
  }

  void reap() {
    int status = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      if (pid == node_) {
        node_ended(status);
        continue;
      }
      for (pid_t& engine : engines_) {
        if (engine != pid) continue;
        engine = 0;
        uint32_t how[] = {WIFEXITED(status) ? static_cast<uint32_t>(WEXITSTATUS(status)) : 0,
                          WIFSIGNALED(status) ? static_cast<uint32_t>(WTERMSIG(status)) : 0};
        if (!ending_) tell(wire::kSayEngineEnded, static_cast<uint32_t>(pid), how, sizeof(how));
      }
    }
  }

  // What it has said last is still to be heard.
  void node_ended(int status) {
    hear_node();
    if (over_ || node_ < 0) return;
    node_ = -1;
    if (resting_) return asked_to_end() ? end_at_rest() : failed_to_wake(status);
    // As everything that it had open is closed, the engine shuts its TPM down and ends.
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    over_ = true;
  }

  // ---- the lock on the state, which lasts while Node does not

  static struct flock whole_file(int16_t type) {
    struct flock lock {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    return lock;
  }

  void lock() {
    int given = g_message.take(0);
    int fd = given >= 0 ? given : g_engine.state_fd;
    struct flock lock = whole_file(F_WRLCK);
    if (fcntl(fd, F_SETLK, &lock) == 0) {
      lock_fd_ = given;
      locks_state_ = given < 0;
      return reply(0);
    }
    int error = errno == EACCES ? EAGAIN : errno;
    lock = whole_file(F_WRLCK);
    uint32_t holder = 0;
    if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0)
      holder = static_cast<uint32_t>(lock.l_pid);
    // There is no lock on this file that the close could drop.
    if (given >= 0) close(given);
    reply(-error, &holder, sizeof(holder));
  }

  int unlock() {
    if (lock_fd_ >= 0) close(lock_fd_);
    lock_fd_ = -1;
    if (!locks_state_) return 0;
    locks_state_ = false;
    struct flock lock = whole_file(F_UNLCK);
    return result(fcntl(g_engine.state_fd, F_SETLK, &lock));
  }

  // ---- rest

  void rest() {
    constexpr size_t words = 3;
    size_t paths = g_message.word(2);
    size_t head = words * sizeof(uint32_t);
    if (!may_rest_) return reply(-EPERM);
    if (g_message.size < head + paths || (paths > 0 && g_message.bytes[head + paths - 1] != 0) ||
        paths > sizeof(g_rest.paths) || g_message.word(1) > g_message.fd_count ||
        g_message.fd_count + 3 > wire::kMaxKeeperFds)
      return reply(-EINVAL);
    if (g_message.word(0) != events_sent_) return reply(-EAGAIN);
    g_rest.flags = g_message.value;
    g_rest.watched = g_message.word(1);
    g_rest.paths_size = paths;
    memcpy(g_rest.paths, g_message.bytes + head, paths);
    g_rest.told_size = g_message.size - head - paths;
    memcpy(g_rest.told, g_message.bytes + head + paths, g_rest.told_size);
    g_rest.fd_count = g_message.fd_count;
    for (size_t i = 0; i < g_message.fd_count; i++) g_rest.fds[i] = g_message.take(i);
    resting_ = true;
    news_ = false;
    failures_ = 0;
    next_start_ = 0;
    reply(0);
    node_ = -1;
    close(connection_);
    connection_ = -1;
  }

  void wake() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) return later(errno);
    int number = fcntl(ends[1], F_DUPFD_CLOEXEC, 100);
    close(ends[1]);
    pid_t pid = number < 0 ? -errno : start_node(number, true);
    close(number);
    if (pid < 0) {
      close(ends[0]);
      return later(-pid);
    }
    node_ = pid;
    connection_ = ends[0];
    events_sent_ = 0;
    int fds[2 * wire::kMaxKeeperFds];
    size_t count = 0;
    for (size_t i = 0; i < g_rest.fd_count; i++) fds[count++] = g_rest.fds[i];
    fds[count++] = g_engine.state_fd;
    if (g_rest.flags & wire::kRestSharedState) fds[count++] = g_engine.shared_fd;
    if (g_engine.log_fd >= 0) fds[count++] = g_engine.log_fd;
    wake_deadline_ = now_ms() + kWakeMs;
    if (!send(connection_, wire::kSayWake, g_rest.flags, g_rest.told, g_rest.told_size, fds, count))
      kill(node_, SIGKILL);
    for (size_t i = 0; i < pending_count_; i++) send_event(pending_[i]);
  }

  // Node has everything.
  void resumed() {
    close_rest();
    resting_ = false;
    pending_count_ = 0;
    reply(0);
  }

  void close_rest() {
    for (size_t i = 0; i < g_rest.fd_count; i++) close(g_rest.fds[i]);
    g_rest.fd_count = 0;
  }

  bool asked_to_end() const {
    for (size_t i = 0; i < pending_count_; i++)
      if (pending_[i].code == wire::kSaySignal && pending_[i].value != SIGUSR2) return true;
    return false;
  }

  void failed_to_wake(int status) {
    if (connection_ >= 0) close(connection_);
    connection_ = -1;
    char why[64];
    if (WIFSIGNALED(status))
      snprintf(why, sizeof(why), "it was killed by signal %d", WTERMSIG(status));
    else
      snprintf(why, sizeof(why), "it exited with status %d", WEXITSTATUS(status));
    put_off(why);
  }

  void later(int error) { put_off(strerror(error)); }

  // The TPM goes on; what was to be decided waits.
  void put_off(const char* why) {
    if (failures_++ == 0)
      log("Cannot start \"%s\" again: %s; it is tried again, and the TPM goes on meanwhile", node_program(),
          why);
    int64_t pause = kFirstPauseMs;
    for (int i = 1; i < failures_ && pause < kLongestPauseMs; i++) pause *= 2;
    next_start_ = now_ms() + (pause < kLongestPauseMs ? pause : kLongestPauseMs);
    news_ = true;
    // A client that waits for an answer gets the end of its connection, unless the TPM would end with it.
    if (failures_ >= kPatience && g_rest.flags & wire::kRestClient &&
        !(g_rest.flags & wire::kRestEndWithClient) && peek_at_client() > 0)
      shutdown(g_rest.fds[0], SHUT_RDWR);
  }

  // ---- the end, while Node is at rest

  void end_at_rest() {
    ending_ = true;
    static constexpr char kStopping[] = "STOPPING=1";
    notify(kStopping, sizeof(kStopping) - 1);
    for (const char* path = g_rest.paths; path < g_rest.paths + g_rest.paths_size; path += strlen(path) + 1)
      if (unlink(path) < 0 && errno != ENOENT) log("Cannot remove \"%s\": %s", path, strerror(errno));
    // With its channel the engine loses its device too, and shuts its TPM down.
    close_rest();
    resting_ = false;
    wait_for_engines(kEngineEndMs);
    if (engines_run()) {
      log("The engine has not ended within %lld s: it is killed",
          static_cast<long long>(kEngineEndMs / 1000));
      for (pid_t engine : engines_)
        if (engine != 0) kill(engine, SIGKILL);
      wait_for_engines(kKilledEndMs);
    }
    exit_code_ = 0;
    over_ = true;
  }

  // A second request to end does not wait.
  void wait_for_engines(int64_t limit) {
    int64_t deadline = now_ms() + limit;
    while (engines_run()) {
      int64_t left = deadline - now_ms();
      pollfd events{signals_, POLLIN, 0};
      if (left <= 0 || poll(&events, 1, static_cast<int>(left)) == 0) return;
      signalfd_siginfo info;
      while (read(signals_, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGCHLD) reap();
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
          for (pid_t engine : engines_)
            if (engine != 0) kill(engine, SIGKILL);
      }
    }
  }

  template <typename... Values>
  void log(const char* format, Values... values) {
    char line[512];
    int length = snprintf(line, sizeof(line) - 1, format, values...);
    if (length < 0) return;
    size_t size =
        static_cast<size_t>(length) < sizeof(line) - 1 ? static_cast<size_t>(length) : sizeof(line) - 2;
    line[size++] = '\n';
    (void)!write(g_engine.log_fd >= 0 ? g_engine.log_fd : 2, line, size);
  }

  int connection_;  // -1 while Node is at rest
  pid_t node_;      // -1 while Node is at rest
  int signals_;
  int first_;  // the process that the user started, until it has been told of READY
  uint32_t events_sent_ = 0;
  pid_t engines_[kMaxEngines] = {};
  int service_manager_ = -1;
  int lock_fd_ = -1;
  bool locks_state_ = false;
  // Node has gone to rest, and the next one has not everything yet.
  bool resting_ = false;
  // Something is to be decided.
  bool news_ = false;
  Event pending_[kMaxPending] = {};
  size_t pending_count_ = 0;
  int failures_ = 0;
  int64_t next_start_ = 0;
  int64_t wake_deadline_ = 0;
  bool may_rest_ = true;
  bool ending_ = false;
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
  g_engine.state_fd = g_engine.shared_fd = g_engine.log_fd = -1;
  return Keeper(connection, node, signals, first).run();
}

}  // namespace swtpm::keeper
