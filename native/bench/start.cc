// bench-start [--exit] PROGRAM ARGUMENT…: how long a program takes from its exec to its first answer.
//
// The program gets one end of a socket pair as descriptor 3; GetRandom(8) already waits in it. With --exit it
// is given nothing, and the time is that until it ends. Prints nanoseconds.
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr int kProgramsFd = 3;
constexpr uint8_t kGetRandom[] = {0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x7b, 0, 8};

int64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

pid_t start(char** command, int fd) {
  pid_t pid = vfork();
  if (pid != 0) return pid;
  if (fd >= 0) dup2(fd, kProgramsFd);
  execvp(command[0], command);
  _exit(127);
}

}  // namespace

int main(int argc, char** argv) {
  bool to_exit = argc > 1 && strcmp(argv[1], "--exit") == 0;
  char** command = argv + (to_exit ? 2 : 1);
  if (*command == nullptr) {
    fprintf(stderr, "Usage: bench-start [--exit] PROGRAM ARGUMENT...\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  int ends[2] = {-1, -1};
  if (!to_exit && (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 ||
                   write(ends[0], kGetRandom, sizeof(kGetRandom)) < 0)) {
    perror("bench-start");
    return 1;
  }
  // dup2() onto itself would leave it close-on-exec.
  int theirs = to_exit ? -1 : dup(ends[1]);
  if (!to_exit) close(ends[1]);

  int64_t begin = now_ns();
  pid_t pid = start(command, theirs);
  int64_t end = 0;
  int status = 0;
  if (to_exit) {
    waitpid(pid, &status, 0);
    end = now_ns();
  } else {
    close(theirs);
    uint8_t response[64];
    ssize_t n = read(ends[0], response, sizeof(response));
    end = now_ns();
    if (n < 10) {
      fprintf(stderr, "bench-start: %s gave no answer\n", command[0]);
      return 1;
    }
    close(ends[0]);
    waitpid(pid, &status, 0);
  }
  printf("%lld\n", static_cast<long long>(end - begin));
  return 0;
}
