// tpm-engine: one TPM as a process of its own, run by the swtpm supervisor. This file puts the parts together
// and owns the order of start and end. docs/design/0001-engine-wire.md describes the wire to the supervisor.
//
// Start: hygiene (descriptors, dumps, signals) before anything touches a secret; then everything that needs
// system calls the sandbox denies (threads, OpenSSL's configuration); then READY.
#include <fcntl.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "common/log.h"
#include "common/protect_process.h"
#include "common/signals.h"
#include "common/stray_fds.h"
#include "engine/channel/channel.h"
#include "engine/channel/options.h"
#include "engine/channel/tracer.h"
#include "engine/confine/privileges.h"
#include "engine/confine/sandbox.h"
#include "engine/requests.h"
#include "engine/serve/attachment.h"
#include "engine/serve/data_path.h"
#include "engine/serve/storage_gate.h"
#include "engine/shared_state.h"
#include "engine/spawner.h"
#include "engine/tpm/build_number.h"
#include "engine/tpm/insecure_seed.h"
#include "engine/tpm/library.h"
#include "engine/tpm/tpm.h"
#include "state/dir_store.h"
#include "state/linear_store.h"
#include "state/nv_state.h"

namespace swtpm {
namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;

Channel* g_channel = nullptr;
std::string g_log_prefix;

// A line as the supervisor would have written it.
void log_to_stderr(LogLevel level, std::string_view text) {
  if (level > LogLevel::kWarning) return;
  std::string line = g_log_prefix;
  for (size_t at = 0; at < text.size();) {
    int error = 0;
    int length = 0;
    if (sscanf(std::string(text.substr(at, 16)).c_str(), "{errno %d}%n", &error, &length) == 1 &&
        length > 0) {
      line += strerror(error);
      at += static_cast<size_t>(length);
    } else {
      line += text[at++];
    }
  }
  line += '\n';
  (void)!::write(STDERR_FILENO, line.data(), line.size());
}

void begin_process(int first_stray_fd) {
  close_from(first_stray_fd);
  // This memory holds keys and the TPM's secrets.
  protect_process();
  reset_signal_actions();
  // The supervisor decides about the end, and says so by closing the channel.
  for (int signal : {SIGPIPE, SIGTERM, SIGINT, SIGHUP}) ::signal(signal, SIG_IGN);
  // A file that would become too large is a write that fails.
  ::signal(SIGXFSZ, SIG_IGN);
  unblock_all_signals();
}

// What glibc and OpenSSL would otherwise do at first use, with system calls that are not available later.
void warm_up_libraries() {
  // One heap for the few threads: less memory, and no look at the number of CPUs later.
  mallopt(M_ARENA_MAX, 1);
  OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_ADD_ALL_CIPHERS | OPENSSL_INIT_ADD_ALL_DIGESTS,
                      nullptr);
  uint8_t random[16];
  RAND_bytes(random, sizeof(random));
}

std::unique_ptr<Store> open_store(const Options& options) {
  if (options.backend == Backend::kLinear)
    return LinearStore::open(wire::kStateFd, {options.mode, options.mode_given, options.sync});
  bool tpm2 = options.tpm_version == TpmVersion::k20;
  return std::make_unique<DirStore>(
      wire::kStateFd,
      DirStore::Options{
          tpm2, {options.mode, options.mode_given, options.sync}, options.backup, options.journal});
}

// Before the system calls are confined, as it starts a thread; see PumpThreads.
void end_journal_when_idle(NvState& state) {
  std::latch started(1);
  std::thread([&] {
    started.count_down();
    state.end_journal_when_idle();
  }).detach();
  started.wait();
}

// Serves until the supervisor closes the channel. Once threads run the process ends by _exit() alone: they
// use the objects below, which therefore must never be destroyed.
int run(const Options& options) {
  // The user's mode is meant literally.
  if (options.mode_given) umask(0);

  Channel channel(wire::kChannelFd);
  g_channel = &channel;
  g_log_sink = [](LogLevel level, std::string_view text) { g_channel->log_event(level, text); };

  const bool entered = enter_state_directory(options.backend);
  drop_privileges(options.backend);
  std::unique_ptr<Store> store = open_store(options);
  if (!store) return kExitFailure;
  NvState state(std::move(store));
  SharedState shared(wire::kSharedStateFd);
  Checkpoint checkpoint(shared.checkpoint(), shared.usable());
  confine_files(options.backend, entered);
  if (options.journal) end_journal_when_idle(state);
  Tracer tracer(channel);
  if (!options.seed_insecure.empty()) insecure_seed::begin(options.seed_insecure, shared.seed());
  Tpm tpm(state, checkpoint,
          {options.tpm_version,
           {options.allow_set_locality, options.reject_locality_4},
           options.auto_shutdown,
           options.log_level >= 5 ? options.log_level - 4 : 0,
           options.log_prefix + "    ",
           options.trace ? &tracer : nullptr});
  StorageGate gate([&channel] { channel.event(wire::Event::kStorageNeeded); });
  Interceptor interceptor(channel);
  DataPath path(tpm, gate, interceptor, options.trace ? &tracer : nullptr);
  std::optional<spaces::ResourceManager> manager;
  std::optional<ManagedParts> managed_parts;
  std::optional<Attachment> managed;
  if (options.resource_manager) {
    manager.emplace(tpm, shared.guest_sessions());
    managed_parts.emplace(
        ManagedParts{*manager, shared.managed_device(), ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)});
    path.set_shared();
    managed.emplace(channel, path, shared.device(), &*managed_parts, wire::Event::kManagedClosed);
  }
  Attachment attachment(channel, path, shared.device(), managed_parts ? &*managed_parts : nullptr,
                        wire::Event::kClientClosed);
  Requests requests(channel, tpm, gate, interceptor, attachment, managed ? &*managed : nullptr);

  const uint32_t build = build_number();
  limit_resources(options);
  if (!confine_system_calls(options)) _exit(kExitFailure);
  uint8_t ready[8];
  store_be32(ready, library::version());
  store_be32(ready + 4, build);
  channel.event(wire::Event::kReady, ByteView(ready));
  requests.run();

  // The supervisor hears nothing any more: our parent, who reads our standard error then, is all that is
  // left.
  g_log_prefix = options.log_prefix;
  g_log_sink = log_to_stderr;
  tpm.stop_at_exit();
  state.wipe_keys();
  _exit(0);
}

int run_engine(int argc, char** argv) {
  auto options = parse_options(argc, argv);
  if (!options) return kExitUsage;
  if (options->print_info) {
    printf("%s\n", library::describe(*options->print_info, options->tpm_version).c_str());
    return 0;
  }
  begin_process(wire::kFirstStrayFd);
  if (fcntl(wire::kChannelFd, F_GETFD) < 0 || fcntl(wire::kStateFd, F_GETFD) < 0) {
    fprintf(stderr, "tpm-engine: Descriptors 3 and 4 must be given; swtpm starts this program\n");
    return kExitUsage;
  }
  warm_up_libraries();
  return run(*options);
}

}  // namespace
}  // namespace swtpm

int main(int argc, char** argv) {
  // What follows are the program that it starts, and the options that it is held to.
  if (argc > 2 && std::string_view(argv[1]) == "--spawner") {
    auto options = swtpm::parse_options(argc - 2, argv + 2);
    if (!options) return swtpm::kExitUsage;
    swtpm::begin_process(swtpm::wire::kStateFd);
    swtpm::warm_up_libraries();
    swtpm::run_spawner(argv[2], *options, swtpm::run_engine);
  }
  return swtpm::run_engine(argc, argv);
}
