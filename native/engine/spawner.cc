#include "engine/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "common/children.h"
#include "common/place_fds.h"
#include "common/reason.h"
#include "common/signals.h"
#include "engine/channel/channel.h"

namespace swtpm {
namespace {

constexpr int kExitNoProgram = 127;
constexpr size_t kMaxEngines = 16384;
using Engines = Children<kMaxEngines>;

std::vector<char*> split_words(std::span<uint8_t> words) {
  std::vector<char*> out;
  for (size_t start = 0; start < words.size(); start += strlen(out.back()) + 1)
    out.push_back(reinterpret_cast<char*>(&words[start]));
  out.push_back(nullptr);
  return out;
}

// In the child: the descriptors that came with the request become 3, 4 and 5.
bool place(const Frame& frame) {
  return place_fds(wire::kChannelFd, {frame.fds[0].get(), frame.fds[1].get(), frame.fds[2].get()});
}

[[noreturn]] void be_engine(Frame& frame, bool fresh, int (*run_engine)(int, char**)) {
  unblock_all_signals();
  std::vector<char*> words = split_words(std::span(frame.body).subspan(8));
  if (!place(frame)) _exit(kExitNoProgram);
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

void spawn(Channel& channel, Frame& frame, ByteReader& body, Engines& engines,
           int (*run_engine)(int, char**)) {
  bool fresh = body.u32() & wire::kSpawnFresh;
  bool valid = body.remaining() > 0 && frame.body.back() == 0 && !engines.full();
  pid_t pid = valid ? ::fork() : -1;
  if (pid == 0) be_engine(frame, fresh, run_engine);
  uint32_t error = pid > 0 ? 0 : valid ? static_cast<uint32_t>(errno) : EINVAL;
  if (pid > 0) engines.add(pid);
  channel.reply(frame.id, ByteWriter().u32(error).u32(static_cast<uint32_t>(pid)).take());
}

void kill_engine(Channel& channel, const Frame& frame, ByteReader& body, const Engines& engines) {
  int result = engines.kill(static_cast<pid_t>(body.u32()));
  channel.reply(frame.id, ByteWriter().u32(static_cast<uint32_t>(-result)).take());
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
  engines.reap([&channel](pid_t pid, int status, bool) {
    ByteWriter ended;
    ended.u32(static_cast<uint32_t>(pid)).u32(exit_status_of(status)).u32(signal_of(status));
    channel.event(wire::Event::kEngineEnded, ended.take());
  });
}

}  // namespace

void run_spawner(int (*run_engine)(int argc, char** argv)) {
  prctl(PR_SET_NAME, "tpm-spawner");
  fcntl(wire::kChannelFd, F_SETFD, FD_CLOEXEC);
  UniqueFd signals(signals_by_descriptor(signal_set({SIGCHLD})));
  Channel channel(wire::kChannelFd);
  static Engines engines;
  Frame frame;
  while (true) {
    pollfd events[] = {{wire::kChannelFd, POLLIN, 0}, {signals.get(), POLLIN, 0}};
    if (::poll(events, 2, -1) < 0 && errno != EINTR) _exit(1);
    if (events[1].revents) {
      while (next_signal(signals.get())) {
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
