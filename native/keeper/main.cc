// swtpm: the process that lasts as long as its TPM. It starts Node, which decides, and lets it end while
// nothing is to be decided. This file settles which process that is: the one that the user started, or one in
// the background, as Node says when it has read the command line.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <initializer_list>

#include "keeper/keeper.h"
#include "keeper/programs.h"

namespace swtpm::keeper {
namespace {

// Above the numbers that users hand in.
constexpr int kConnectionFd = 100;
constexpr uint8_t kTakeOver = 'T';

// One end of a pair, out of the way of what the user has handed in.
int out_of_the_way(int fd) {
  int moved = -1;
  for (int number : {kConnectionFd, kConnectionFd / 5, 0})
    if (moved < 0) moved = fcntl(fd, F_DUPFD_CLOEXEC, number);
  close(fd);
  return moved;
}

bool make_pair(int (&ends)[2], int type) {
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0) return false;
  for (int& end : ends) end = out_of_the_way(end);
  return ends[0] >= 0 && ends[1] >= 0;
}

int fail(const char* what, int error) {
  fprintf(stderr, "Cannot %s: %s\n", what, strerror(error));
  return 1;
}

sigset_t kept_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD}) sigaddset(&set, signal);
  return set;
}

// Ends as a child has ended.
[[noreturn]] void end_like(int status) {
  if (WIFSIGNALED(status)) {
    int signal = WTERMSIG(status);
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, signal);
    prctl(PR_SET_DUMPABLE, 0);
    raise(signal);
    sigprocmask(SIG_UNBLOCK, &only, nullptr);
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

// In the process that the user started, until Node has read the command line. Returns the exit code.
int begin(int argc, char** argv) {
  if (!find_programs(argc, argv)) return 1;
  // Who reads our standard error, or waits for us, may have gone.
  signal(SIGPIPE, SIG_IGN);
  sigset_t set = kept_signals();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  signals = signals < 0 ? -1 : out_of_the_way(signals);
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
  pid_t node = -1;
  bool background = false;
  if (read(other[0], &node, sizeof(node)) != sizeof(node)) node = -1;
  int status = 0;
  while (node > 0) {
    pollfd events[] = {{connection[0], POLLIN, 0}, {signals, POLLIN, 0}};
    if (poll(events, 2, -1) < 0 && errno != EINTR) return fail("wait for Node", errno);
    // The message stays where it is: the process that lasts reads it.
    uint32_t head[2] = {};
    if (events[0].revents & POLLIN &&
        recv(connection[0], head, sizeof(head), MSG_PEEK | MSG_DONTWAIT) == sizeof(head)) {
      background = head[1] != 0;
      break;
    }
    // Node has nothing to serve and ends; this process then ends in the same way.
    signalfd_siginfo info;
    while (read(signals, &info, sizeof(info)) == sizeof(info))
      if (info.ssi_signo != SIGCHLD && info.ssi_signo != SIGUSR1)
        kill(node, static_cast<int>(info.ssi_signo));
    if (events[0].revents & POLLHUP) node = -1;
  }
  if (background) {
    close(connection[0]);
    // A ^C ends this process alone, as long as it waits.
    sigprocmask(SIG_UNBLOCK, &set, nullptr);
    uint8_t word = kTakeOver;
    if (write(other[0], &word, 1) == 1 && read(other[0], &word, 1) == 1) return 0;
    while (waitpid(second, &status, 0) < 0 && errno == EINTR) {
    }
    end_like(status);
  }
  close(other[0]);
  while (waitpid(second, &status, 0) < 0 && errno == EINTR) {
  }
  if (node > 0) return keep(connection[0], node, signals, -1);
  // Node had its end, or could not be started.
  int nodes = 0;
  while (waitpid(-1, &nodes, 0) > 0) status = nodes;
  end_like(status);
}

}  // namespace
}  // namespace swtpm::keeper

int main(int argc, char** argv) {
  return swtpm::keeper::begin(argc, argv);
}
