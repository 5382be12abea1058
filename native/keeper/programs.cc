#include "keeper/programs.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <initializer_list>

extern char** environ;

namespace swtpm::keeper {
namespace {

constexpr int kExitNoProgram = 127;
// The engine's descriptors from 3 on: channel, state, shared state.
constexpr int kFirstEngineFd = 3;
// Above every number that a child is given.
constexpr int kOutOfTheWay = 10;
constexpr size_t kMaxEngineWords = 128;
constexpr const char* kEngine = "native/build/Release/tpm-engine";
constexpr const char* kScript = "dist/swtpm.js";
// Where the installation's root is, seen from the folder of this program: where it has been installed, and in
// a tree that was built. Three folders up from an installed program there may be what others have put there.
constexpr const char* kRoots[] = {"../lib/swtpm", "../../.."};

char g_node[PATH_MAX];
char g_script[PATH_MAX];
char g_engine[PATH_MAX];
char** g_node_words;
char g_connection[sizeof(wire::kKeeperFdVariable) + 24];

bool join(char (&out)[PATH_MAX], const char* folder, const char* name) {
  size_t length = strlen(folder);
  if (length + 1 + strlen(name) >= sizeof(out)) return false;
  memcpy(out, folder, length);
  out[length] = '/';
  strcpy(out + length + 1, name);
  return true;
}

// The first program of this name in PATH.
bool find_in_path(char (&out)[PATH_MAX], const char* name) {
  const char* path = getenv("PATH");
  for (const char* rest = path ? path : "/usr/local/bin:/usr/bin:/bin"; *rest;) {
    size_t length = strcspn(rest, ":");
    char folder[PATH_MAX];
    if (length > 0 && length < sizeof(folder)) {
      memcpy(folder, rest, length);
      folder[length] = '\0';
      if (join(out, folder, name) && access(out, X_OK) == 0) return true;
    }
    rest += length + (rest[length] == ':');
  }
  return false;
}

bool find_root(char (&root)[PATH_MAX]) {
  char self[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
  if (length <= 0) return false;
  self[length] = '\0';
  if (char* slash = strrchr(self, '/')) *slash = '\0';
  char seen[PATH_MAX];
  for (const char* relative : kRoots)
    if (join(seen, self, relative) && realpath(seen, root) && join(g_script, root, kScript) &&
        access(g_script, R_OK) == 0)
      return true;
  return false;
}

// The signals of a process that has just begun.
void reset_signals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; signal++) sigaction(signal, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// In the child. Nothing else is passed on: every other descriptor is close-on-exec.
bool place_engine_fds(const EngineStart& start, int channel) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return false;
  int fds[] = {fcntl(channel, F_DUPFD_CLOEXEC, kOutOfTheWay),
               fcntl(start.state_fd, F_DUPFD_CLOEXEC, kOutOfTheWay),
               fcntl(start.shared_fd, F_DUPFD_CLOEXEC, kOutOfTheWay)};
  int log = fcntl(start.log_fd >= 0 ? start.log_fd : null, F_DUPFD_CLOEXEC, kOutOfTheWay);
  for (int fd : {log, fds[0], fds[1], fds[2]})
    if (fd < 0) return false;
  if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(log, 2) < 0) return false;
  for (int i = 0; i < 3; i++)
    if (dup2(fds[i], kFirstEngineFd + i) < 0) return false;
  return true;
}

}  // namespace

bool find_programs(int argc, char** argv) {
  char root[PATH_MAX];
  if (!find_root(root)) {
    fprintf(stderr, "Cannot find \"%s\": build it with `npm run build`, or install it again\n", kScript);
    return false;
  }
  // Installed: the Node that it was installed for.
  if (!join(g_node, root, "node") || access(g_node, X_OK) < 0) {
    if (!find_in_path(g_node, "node")) {
      fprintf(stderr, "Cannot find \"node\" in PATH: install Node.js 20 or later\n");
      return false;
    }
  }
  const char* engine = getenv("SWTPM_ENGINE");
  if (!engine || !*engine)
    join(g_engine, root, kEngine);
  else if (!realpath(engine, g_engine))  // engines are started from the root directory
    stpncpy(g_engine, engine, sizeof(g_engine) - 1);
  unsetenv(wire::kKeeperFdVariable);

  // The name that the CUSE TPM has had of old.
  const char* name = strrchr(argv[0], '/');
  bool cuse = strcmp(name ? name + 1 : argv[0], "swtpm_cuse") == 0;
  g_node_words = static_cast<char**>(calloc(static_cast<size_t>(argc) + 4, sizeof(char*)));
  if (!g_node_words) return false;
  char** word = g_node_words;
  *word++ = g_node;
  *word++ = g_script;
  if (cuse) *word++ = const_cast<char*>("cuse");
  for (int i = 1; i < argc; i++) *word++ = argv[i];
  return true;
}

pid_t start_node(int connection, bool wake) {
  size_t count = 0;
  while (environ[count]) count++;
  char** environment = static_cast<char**>(calloc(count + 2, sizeof(char*)));
  if (!environment) return -ENOMEM;
  memcpy(environment, environ, count * sizeof(char*));
  snprintf(g_connection, sizeof(g_connection), "%s=%d%s", wire::kKeeperFdVariable, connection,
           wake ? " wake" : "");
  environment[count] = g_connection;
  volatile int error = 0;
  pid_t pid = vfork();
  if (pid == 0) {
    reset_signals();
    fcntl(connection, F_SETFD, 0);
    execve(g_node, g_node_words, environment);
    error = errno;
    _exit(kExitNoProgram);
  }
  if (pid < 0) error = errno;
  fcntl(connection, F_SETFD, FD_CLOEXEC);
  free(environment);
  return error ? -error : pid;
}

bool become(const User& user) {
  return setgroups(user.group_count, user.groups) == 0 && setresgid(user.gid, user.gid, user.gid) == 0 &&
         setresuid(user.uid, user.uid, user.uid) == 0;
}

pid_t start_engine(EngineStart& start, const User& user, int channel) {
  char* words[kMaxEngineWords];
  size_t count = 0;
  words[count++] = g_engine;
  for (char* next = start.words; next < start.words + start.size && count + 1 < kMaxEngineWords;
       next += strlen(next) + 1)
    words[count++] = next;
  words[count] = nullptr;
  // Nothing of our environment but the way to a libtpms outside the system's folders.
  char* environment[2] = {};
  for (char** variable = environ; *variable; variable++)
    if (strncmp(*variable, "LD_LIBRARY_PATH=", 16) == 0) environment[0] = *variable;
  volatile int error = 0;
  pid_t pid = vfork();
  if (pid == 0) {
    reset_signals();
    // A terminal's ^C reaches the keeper alone.
    setsid();
    bool other = user.given && geteuid() != user.uid;
    if (!place_engine_fds(start, channel) || chdir("/") < 0 || (other && !become(user))) {
      error = errno;
      _exit(kExitNoProgram);
    }
    execve(g_engine, words, environment);
    error = errno;
    _exit(kExitNoProgram);
  }
  if (pid < 0) error = errno;
  return error ? -error : pid;
}

const char* node_program() {
  return g_node;
}

}  // namespace swtpm::keeper
