#include "engine/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <string>
#include <vector>

#include "common/eintr.h"
#include "common/reason.h"
#include "engine/channel/channel.h"

namespace swtpm {
namespace {

constexpr int kExitNoProgram = 127;
// Above every number that an engine is given.
constexpr int kOutOfTheWay = 10;

sigset_t child_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  return set;
}

std::vector<char*> split_words(std::span<uint8_t> words) {
  std::vector<char*> out;
  for (size_t start = 0; start < words.size(); start += strlen(out.back()) + 1)
    out.push_back(reinterpret_cast<char*>(&words[start]));
  out.push_back(nullptr);
  return out;
}

// In the child: the descriptors that came with the request become 3, 4 and 5.
bool place(std::span<UniqueFd> fds) {
  int target = wire::kChannelFd;
  for (UniqueFd& fd : fds) fd.reset(::fcntl(fd.get(), F_DUPFD, kOutOfTheWay));
  for (UniqueFd& fd : fds)
    if (::dup2(fd.get(), target++) < 0) return false;
  return true;
}

[[noreturn]] void be_engine(Frame& frame, bool fresh, int (*run_engine)(int, char**)) {
  sigset_t set = child_signal();
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  std::vector<char*> words = split_words(std::span(frame.body).subspan(8));
  if (!place(frame.fds)) _exit(kExitNoProgram);
  if (fresh) {
    // The program may have been replaced by a newer version. Its addresses are not those of the spawner.
    ::execv(words[0], words.data());
    // The channel of the engine that it would have become.
    Channel(wire::kChannelFd)
        .log_event(LogLevel::kError,
                   std::string("Cannot start \"") + words[0] + "\": " + reason_of(errno).text);
    _exit(kExitNoProgram);
  }
  prctl(PR_SET_NAME, "tpm-engine");
  _exit(run_engine(static_cast<int>(words.size() - 1), words.data()));
}

// The engines that run, and those that have ended and were not reaped yet: their numbers belong to no other
// process.
using Engines = std::set<pid_t>;

void spawn(Channel& channel, Frame& frame, ByteReader& body, Engines& engines,
           int (*run_engine)(int, char**)) {
  bool fresh = body.u32() & wire::kSpawnFresh;
  bool valid = body.remaining() > 0 && frame.body.back() == 0;
  pid_t pid = valid ? ::fork() : -1;
  if (pid == 0) be_engine(frame, fresh, run_engine);
  uint32_t error = pid > 0 ? 0 : valid ? static_cast<uint32_t>(errno) : EINVAL;
  if (pid > 0) engines.insert(pid);
  channel.reply(frame.id, ByteWriter().u32(error).u32(static_cast<uint32_t>(pid)).take());
}

void kill_engine(Channel& channel, const Frame& frame, ByteReader& body, const Engines& engines) {
  auto pid = static_cast<pid_t>(body.u32());
  int error = !engines.contains(pid) ? ESRCH : ::kill(pid, SIGKILL) < 0 ? errno : 0;
  channel.reply(frame.id, ByteWriter().u32(static_cast<uint32_t>(error)).take());
}

void handle(Channel& channel, Frame& frame, Engines& engines, int (*run_engine)(int, char**)) {
  ByteReader body(frame.body);
  switch (static_cast<wire::Code>(body.u32())) {
    case wire::Code::kSpawn:
      return spawn(channel, frame, body, engines, run_engine);
    case wire::Code::kKill:
      return kill_engine(channel, frame, body, engines);
    default:
      channel.reply(frame.id, ByteWriter().u32(EINVAL).u32(0).take());
  }
}

// Reaps the engines that have ended. An event has u32 pid, u32 exit code, u32 signal or 0.
void report_ended(Channel& channel, Engines& engines) {
  int status = 0;
  while (pid_t pid = ::waitpid(-1, &status, WNOHANG)) {
    if (pid < 0) return;
    engines.erase(pid);
    ByteWriter ended;
    ended.u32(static_cast<uint32_t>(pid));
    ended.u32(WIFEXITED(status) ? static_cast<uint32_t>(WEXITSTATUS(status)) : 0);
    ended.u32(WIFSIGNALED(status) ? static_cast<uint32_t>(WTERMSIG(status)) : 0);
    channel.event(wire::Event::kEngineEnded, ended.take());
  }
}

}  // namespace

void run_spawner(int (*run_engine)(int argc, char** argv)) {
  prctl(PR_SET_NAME, "tpm-spawner");
  fcntl(wire::kChannelFd, F_SETFD, FD_CLOEXEC);
  sigset_t set = child_signal();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  UniqueFd children(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  Channel channel(wire::kChannelFd);
  Engines engines;
  Frame frame;
  while (true) {
    pollfd events[] = {{wire::kChannelFd, POLLIN, 0}, {children.get(), POLLIN, 0}};
    if (::poll(events, 2, -1) < 0 && errno != EINTR) _exit(1);
    if (events[1].revents) {
      signalfd_siginfo info;
      while (::read(children.get(), &info, sizeof(info)) > 0) {
      }
      report_ended(channel, engines);
    }
    if (!events[0].revents) continue;
    if (!channel.read(frame)) _exit(0);
    handle(channel, frame, engines, run_engine);
    for (UniqueFd& fd : frame.fds) fd.reset();
  }
}

}  // namespace swtpm
