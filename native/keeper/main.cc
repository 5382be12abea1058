// swtpm: the process that lasts as long as its TPM. It starts Node, which decides, and lets it end while
// nothing is to be decided. This file settles which process that is: the one that the user started, or one in
// the background, as Node says when it has read the command line.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/signals.h"
#include "keeper/connection.h"
#include "keeper/keeper.h"
#include "keeper/programs.h"

namespace swtpm::keeper {
namespace {

constexpr uint8_t kTakeOver = 'T';

int fail(const char* what, int error) {
  fprintf(stderr, "Cannot %s: %s\n", what, strerror(error));
  return 1;
}

int wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

// Ends as a child has ended.
[[noreturn]] void end_like(int status) {
  if (WIFSIGNALED(status)) {
    prctl(PR_SET_DUMPABLE, 0);
    signal(WTERMSIG(status), SIG_DFL);
    raise(WTERMSIG(status));
    unblock_all_signals();
  }
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

// The process that would be the TPM's in the background. It starts Node, so that Node is its child, and then
// waits to be told.
[[noreturn]] void be_second(int connection, int nodes_end, int first, int signals) {
  setsid();
  pid_t node = start_node(nodes_end, false);
  if (node < 0) {
    fprintf(stderr, "Cannot start \"%s\": %s\n", node_program(), strerror(-node));
    _exit(1);
  }
  close(nodes_end);
  if (write(first, &node, sizeof(node)) != sizeof(node)) _exit(1);
  uint8_t word = 0;
  if (read(first, &word, 1) != 1 || word != kTakeOver) _exit(0);
  _exit(keep(connection, node, signals, first));
}

// What Node makes of the command line.
enum class Wish { kNothing, kForeground, kBackground };

// Waits for it. The message stays where it is: the process that lasts reads it.
Wish wish_of_node(int connection, pid_t node, int signals) {
  while (true) {
    pollfd events[] = {{connection, POLLIN, 0}, {signals, POLLIN, 0}};
    if (poll(events, 2, -1) < 0 && errno != EINTR) return Wish::kNothing;
    uint32_t head[2] = {};
    if (events[0].revents & POLLIN &&
        recv(connection, head, sizeof(head), MSG_PEEK | MSG_DONTWAIT) == sizeof(head))
      return head[1] == 0 ? Wish::kForeground : Wish::kBackground;
    // Node has nothing to serve and ends; this process then ends in the same way.
    while (int signal = next_signal(signals))
      if (signal != SIGCHLD && signal != SIGUSR1) kill(node, signal);
    if (events[0].revents & POLLHUP) return Wish::kNothing;
  }
}

// In the process that the user started, until Node has read the command line. Returns the exit code.
int begin(int argc, char** argv) {
  if (!find_programs(argc, argv)) return 1;
  if (!may_serve(argc, argv)) return fail("start Node", become_node());
  // Who reads our standard error, or waits for us, may have gone.
  signal(SIGPIPE, SIG_IGN);
  int signals =
      out_of_the_way(signals_by_descriptor(signal_set({SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD})));
  int connection[2];
  int other[2];
  if (signals < 0 || !make_pair(connection, SOCK_SEQPACKET) || !make_pair(other, SOCK_STREAM))
    return fail("make a connection to Node", errno);
  // Node is the child of the second process, and becomes ours when that ends.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  pid_t second = fork();
  if (second < 0) return fail("start a process", errno);
  if (second == 0) {
    close(other[0]);
    be_second(connection[0], connection[1], other[1], signals);
  }
  close(connection[1]);
  close(other[1]);
  pid_t node = 0;
  if (read(other[0], &node, sizeof(node)) != sizeof(node)) end_like(wait_for(second));
  Wish wish = wish_of_node(connection[0], node, signals);
  if (wish == Wish::kBackground) {
    close(connection[0]);
    // A ^C ends this process alone, as long as it waits.
    unblock_all_signals();
    uint8_t word = kTakeOver;
    if (write(other[0], &word, 1) == 1 && read(other[0], &word, 1) == 1) return 0;
    end_like(wait_for(second));
  }
  close(other[0]);
  wait_for(second);
  if (wish == Wish::kForeground) return keep(connection[0], node, signals, -1);
  end_like(wait_for(node));
}

}  // namespace
}  // namespace swtpm::keeper

int main(int argc, char** argv) {
  return swtpm::keeper::begin(argc, argv);
}
