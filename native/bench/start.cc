// bench-start [--exit] PROGRAM ARGUMENT…: how long a program takes from its exec to its first answer.
// bench-start --fleet SOCKET REQUEST DATA: how long one more TPM takes in a fleet that runs.
//
// The program gets one end of a socket pair as descriptor 3; GetRandom(8) already waits in it. With --exit it
// is given nothing, and the time is that until it ends. The fleet is sent REQUEST, a line, and when it has
// answered, GetRandom(8) goes to the socket DATA; the time is that until its answer. Prints nanoseconds.
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
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

int connect_to(const char* path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return fd;
  perror(path);
  exit(1);
}

bool write_all(int fd, const void* data, size_t size) {
  return write(fd, data, size) == static_cast<ssize_t>(size);
}

bool is_first_answer(int fd) {
  uint8_t response[64];
  return read(fd, response, sizeof(response)) >= 10;
}

int time_one_more(const char* socket, const char* request, const char* data) {
  int64_t begin = now_ns();
  int fleet = connect_to(socket);
  char answer[4096] = {};
  size_t have = 0;
  if (!write_all(fleet, request, strlen(request)) || !write_all(fleet, "\n", 1)) return 1;
  while (memchr(answer, '\n', have) == nullptr) {
    ssize_t n = read(fleet, answer + have, sizeof(answer) - have);
    if (n <= 0) break;
    have += static_cast<size_t>(n);
  }
  if (strncmp(answer, "{\"ok\":true", 10) != 0) {
    fprintf(stderr, "bench-start: the fleet answered %.*s\n", static_cast<int>(have), answer);
    return 1;
  }
  int tpm = connect_to(data);
  if (!write_all(tpm, kGetRandom, sizeof(kGetRandom)) || !is_first_answer(tpm)) {
    fprintf(stderr, "bench-start: the TPM gave no answer\n");
    return 1;
  }
  printf("%lld\n", static_cast<long long>(now_ns() - begin));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 5 && strcmp(argv[1], "--fleet") == 0) return time_one_more(argv[2], argv[3], argv[4]);
  bool to_exit = argc > 1 && strcmp(argv[1], "--exit") == 0;
  char** command = argv + (to_exit ? 2 : 1);
  if (*command == nullptr) {
    fprintf(stderr,
            "Usage: bench-start [--exit] PROGRAM ARGUMENT...\n"
            "       bench-start --fleet SOCKET REQUEST DATA\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  int ends[2] = {-1, -1};
  if (!to_exit && (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 ||
                   !write_all(ends[0], kGetRandom, sizeof(kGetRandom)))) {
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
    bool answered = is_first_answer(ends[0]);
    end = now_ns();
    if (!answered) {
      fprintf(stderr, "bench-start: %s gave no answer\n", command[0]);
      return 1;
    }
    close(ends[0]);
    waitpid(pid, &status, 0);
  }
  printf("%lld\n", static_cast<long long>(end - begin));
  return 0;
}
