#include "keeper/programs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/start_program.h"
#include "generated/keeper.h"

extern char** environ;

namespace swtpm::keeper {
namespace {

constexpr const char* kEngine = "native/build/Release/tpm-engine";
constexpr const char* kNodesOwn = "NODE_";
constexpr const char* kLibraries = "LD_LIBRARY_PATH=";
constexpr const char* kScript = "dist/swtpm.js";
// Where the installation's root is, seen from the folder of this program: where it has been installed, and in
// a tree that was built. Three folders up from an installed program there may be what others have put there.
constexpr const char* kRoots[] = {"../lib/swtpm", "../../.."};

char g_node[PATH_MAX];
char g_script[PATH_MAX];
char g_engine[PATH_MAX];
char g_connection[sizeof(wire::kKeeperFdVariable) + 24];
char** g_node_words;
char** g_node_environment;
char* g_engine_environment[2];

// FOLDER/NAME, of a folder's first `length` bytes.
bool join(char (&out)[PATH_MAX], const char* folder, size_t length, const char* name) {
  int size = snprintf(out, sizeof(out), "%.*s/%s", static_cast<int>(length), folder, name);
  return size > 0 && static_cast<size_t>(size) < sizeof(out);
}

// The first program of this name in PATH.
bool find_in_path(char (&out)[PATH_MAX], const char* name) {
  const char* path = getenv("PATH");
  for (const char* rest = path ? path : "/usr/local/bin:/usr/bin:/bin"; *rest;) {
    size_t length = strcspn(rest, ":");
    if (length > 0 && join(out, rest, length, name) && access(out, X_OK) == 0) return true;
    rest += length + (rest[length] == ':');
  }
  return false;
}

bool find_root(char (&root)[PATH_MAX]) {
  char self[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
  if (length <= 0) return false;
  self[length] = '\0';
  size_t folder = static_cast<size_t>(strrchr(self, '/') - self);
  char seen[PATH_MAX];
  for (const char* relative : kRoots)
    if (join(seen, self, folder, relative) && realpath(seen, root) &&
        join(g_script, root, strlen(root), kScript) && access(g_script, R_OK) == 0)
      return true;
  return false;
}

// The name that the CUSE TPM has had of old.
bool called_as_cuse(char** argv) {
  const char* name = strrchr(argv[0], '/');
  return strcmp(name ? name + 1 : argv[0], "swtpm_cuse") == 0;
}

// What every Node is started with. The connection's variable is filled in for each.
bool remember_words_and_environment(int argc, char** argv) {
  unsetenv(wire::kKeeperFdVariable);
  size_t count = 0;
  while (environ[count]) count++;
  g_node_words = static_cast<char**>(calloc(static_cast<size_t>(argc) + 4, sizeof(char*)));
  g_node_environment = static_cast<char**>(calloc(count + 2, sizeof(char*)));
  if (!g_node_words || !g_node_environment) return false;
  char** variable = g_node_environment;
  *variable++ = g_connection;
  for (size_t i = 0; i < count; i++) {
    // NODE_OPTIONS and its like are for other programs of the user's: they would have Node load code, or
    // certificates.
    if (strncmp(environ[i], kNodesOwn, strlen(kNodesOwn)) != 0) *variable++ = environ[i];
    if (strncmp(environ[i], kLibraries, strlen(kLibraries)) == 0) g_engine_environment[0] = environ[i];
  }
  char** word = g_node_words;
  *word++ = g_node;
  *word++ = g_script;
  if (called_as_cuse(argv)) *word++ = const_cast<char*>("cuse");
  for (int i = 1; i < argc; i++) *word++ = argv[i];
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
  if (!join(g_node, root, strlen(root), "node") || access(g_node, X_OK) < 0) {
    if (!find_in_path(g_node, "node")) {
      fprintf(stderr, "Cannot find \"node\" in PATH: install Node.js 20 or later\n");
      return false;
    }
  }
  const char* engine = getenv("SWTPM_ENGINE");
  if (!engine || !*engine)
    join(g_engine, root, strlen(root), kEngine);
  else if (!realpath(engine, g_engine))  // engines are started from the root directory
    stpncpy(g_engine, engine, sizeof(g_engine) - 1);
  return remember_words_and_environment(argc, argv);
}

bool may_serve(int argc, char** argv) {
  if (called_as_cuse(argv)) return true;
  if (argc < 2) return false;
  for (const char* word : {"socket", "chardev", "cuse", "fleet"})
    if (strcmp(argv[1], word) == 0) return true;
  return false;
}

int become_node() {
  execve(g_node, g_node_words, environ);
  return errno;
}

const char* node_program() {
  return g_node;
}

const char* engine_program() {
  return g_engine;
}

char** engine_environment() {
  return g_engine_environment;
}

pid_t start_node(int connection, bool wake) {
  snprintf(g_connection, sizeof(g_connection), "%s=%d%s", wire::kKeeperFdVariable, connection,
           wake ? " wake" : "");
  return start_program(g_node, g_node_words, g_node_environment,
                       [connection] { return fcntl(connection, F_SETFD, 0) == 0; });
}

}  // namespace swtpm::keeper
