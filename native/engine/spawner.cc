#include "engine/spawner.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <vector>

#include "common/arguments.h"
#include "common/capabilities.h"
#include "common/children.h"
#include "common/place_fds.h"
#include "common/signals.h"
#include "common/start_program.h"
#include "common/syscall_filter.h"
#include "engine/channel/channel.h"

namespace swtpm {
namespace {

constexpr int kExitFailure = 1;
// A fleet has one for each TPM, and for a moment two.
constexpr size_t kMaxEngines = 16384;
// What engines may take to end when nothing is asked any more, and to be gone after they were killed.
constexpr int kEngineEndMs = 8000;
constexpr int kKilledEndMs = 2000;

Children<kMaxEngines> g_engines;

// An engine of root has its state directory as its root, and becomes its owner, or keeps what using it takes;
// and it has to be killed then.
constexpr uint64_t kKept = Capabilities::bit(CAP_DAC_OVERRIDE) | Capabilities::bit(CAP_KILL) |
                           Capabilities::bit(CAP_SETUID) | Capabilities::bit(CAP_SETGID) |
                           Capabilities::bit(CAP_SYS_CHROOT);

// Engines inherit all of it, and give up more. False with errno.
bool confine(SeccompAction seccomp) {
  limit_bounding_and_ambient_set(kKept);
  Capabilities own;
  if (!own.read() || !Capabilities{own.effective & kKept, own.permitted & kKept}.apply()) return false;
  return seccomp == SeccompAction::kNone || SyscallFilter(seccomp == SeccompAction::kKill).install() == 0;
}

// What every engine is, fixed before anything is read.
struct Program {
  const char* path;
  SeccompAction seccomp;
  int (*run_engine)(int, char**);
};

// Starts what SPAWN asks for. Returns its process number, or -errno.
pid_t start(const Program& program, Frame& frame, bool fresh) {
  constexpr size_t flags = 2 * sizeof(uint32_t);
  if (frame.body.size() <= flags || frame.body.back() != 0) return -EINVAL;
  auto bytes = reinterpret_cast<char*>(frame.body.data());
  char* words[Arguments::kMost];
  int count = Arguments{bytes + flags, bytes + frame.body.size()}.list(program.path, words);
  auto options = count > 0 ? parse_options(count, words) : std::nullopt;
  if (!options || options->print_info) return -EINVAL;
  // In the order in which they forbid more.
  if (options->seccomp < program.seccomp) return -EPERM;
  if (g_engines.full()) return -EAGAIN;
  ChildOutput output;
  UniqueFd output_end(make_child_output(output, options->log_level >= ChildOutput::kLiveLevel));
  // They become 2, 3, 4 and 5. Our standard output is /dev/null.
  auto place = [&] {
    return dup2(output_end ? output_end.get() : STDOUT_FILENO, STDERR_FILENO) >= 0 &&
           place_fds(wire::kChannelFd, {frame.fds[0].get(), frame.fds[1].get(), frame.fds[2].get()});
  };
  // It may have been replaced by a newer version. Its addresses are not those of the spawner.
  pid_t pid = fresh ? start_program(program.path, words, environ, place) : ::fork();
  if (pid == -1 && !fresh) pid = -errno;
  if (pid == 0) {
    unblock_all_signals();
    if (!place()) _exit(kExitFailure);
    prctl(PR_SET_NAME, "tpm-engine");
    _exit(program.run_engine(count, words));
  }
  if (pid > 0)
    g_engines.add(pid, output);
  else
    UniqueFd(output.read_end).reset();
  return pid;
}

void handle(const Program& program, Channel& channel, Frame& frame) {
  ByteReader body(frame.body);
  uint32_t code = body.u32();
  uint32_t value = body.u32();
  ByteWriter reply;
  if (code == static_cast<uint32_t>(wire::Code::kSpawn)) {
    pid_t pid = start(program, frame, value & wire::kSpawnFresh);
    reply.u32(pid > 0 ? 0 : static_cast<uint32_t>(-pid)).u32(pid > 0 ? static_cast<uint32_t>(pid) : 0);
  } else if (code == static_cast<uint32_t>(wire::Code::kKill)) {
    reply.u32(static_cast<uint32_t>(-g_engines.kill(static_cast<pid_t>(value))));
  } else {
    reply.u32(EINVAL).u32(0);
  }
  channel.reply(frame.id, reply.take());
}

// An event has u32 pid, u32 exit code, u32 signal or 0.
void report_ended(Channel& channel) {
  g_engines.reap([&channel](pid_t pid, int status, bool) {
    ByteWriter ended;
    ended.u32(static_cast<uint32_t>(pid)).u32(exit_status_of(status)).u32(signal_of(status));
    channel.event(wire::Event::kEngineEnded, ended.take());
  });
}

// With the channels of the engines closed they shut their TPMs down and end.
[[noreturn]] void end(int signals) {
  g_engines.wait_for_all(signals, kEngineEndMs, [](int) {});
  g_engines.kill_all();
  g_engines.wait_for_all(signals, kKilledEndMs, [](int) {});
  _exit(0);
}

}  // namespace

void run_spawner(const char* path, const Options& options, int (*run_engine)(int argc, char** argv)) {
  Program program{path, options.seccomp, run_engine};
  prctl(PR_SET_NAME, "tpm-spawner");
  fcntl(wire::kChannelFd, F_SETFD, FD_CLOEXEC);
  int signals = signals_by_descriptor(signal_set({SIGCHLD}));
  if (signals < 0 || !confine(program.seccomp)) _exit(kExitFailure);
  Channel channel(wire::kChannelFd);
  Frame frame;
  g_engines.set_log(STDERR_FILENO);
  std::vector<pollfd> events;
  while (true) {
    events.assign(2 + g_engines.count(), {});
    events[0] = {wire::kChannelFd, POLLIN, 0};
    events[1] = {signals, POLLIN, 0};
    size_t watched = 2 + g_engines.watch_output(events.data() + 2, g_engines.count());
    if (::poll(events.data(), watched, -1) < 0 && errno != EINTR) _exit(kExitFailure);
    g_engines.pass_on_output();
    if (events[1].revents) {
      while (next_signal(signals)) {
      }
      report_ended(channel);
    }
    if (!events[0].revents) continue;
    if (!channel.read(frame)) end(signals);
    handle(program, channel, frame);
    for (UniqueFd& fd : frame.fds) fd.reset();
  }
}

}  // namespace swtpm
