// The engines of one TPM: who they run as, what they are started with, and which of them run.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/arguments.h"
#include "common/children.h"
#include "common/message.h"
#include "common/place_fds.h"
#include "common/start_program.h"
#include "keeper/log.h"
#include "keeper/programs.h"

namespace swtpm::keeper {

// One runs, and another one may be about to take its place, or to end.
constexpr size_t kMaxEngines = 8;

class Engines : public Children<kMaxEngines> {
 public:
  // What USER asks, once. As the functions that follow it returns what is answered.
  int set_user(const Message& message) {
    size_t count = message.size / sizeof(gid_t);
    if (group_count_ > 0) return -EALREADY;
    if (count == 0 || count > sizeof(groups_) / sizeof(gid_t)) return -EINVAL;
    uid_ = message.value;
    group_count_ = count;
    for (size_t i = 0; i < count; i++) groups_[i] = message.word(i);
    return 0;
  }

  // ENGINE, once. The message stays as it is from now on.
  int describe(Message& message) {
    if (given_.fd_count > 0) return -EALREADY;
    if (message.size == 0 || message.bytes[message.size - 1] != 0 || message.fd_count < 2) return -EINVAL;
    given_ = message;
    message.fd_count = 0;
    if (log_fd() >= 0) g_log_fd = log_fd();
    set_log(log_fd());
    g_log_prefix = arguments().value_of("--log-prefix");
    return 0;
  }

  // SPAWN. There is room for it.
  int start(const Message& message) {
    char* words[Arguments::kMost];
    if (given_.fd_count == 0 || message.fd_count != 1 || arguments().list(engine_program(), words) == 0)
      return -EINVAL;
    ChildOutput output;
    unsigned long level = strtoul(arguments().value_of("--log-level"), nullptr, 10);
    int output_end = make_child_output(output, level >= ChildOutput::kLiveLevel);
    pid_t pid = start_program(engine_program(), words, engine_environment(), [&] {
      // A terminal's ^C reaches the keeper alone.
      setsid();
      int null = open("/dev/null", O_RDWR | O_CLOEXEC);
      int error = output_end >= 0 ? output_end : null;
      // Every other descriptor is close-on-exec.
      return null >= 0 && place_fds(0, {null, null, error, message.fds[0], state_fd(), shared_fd()}) &&
             chdir("/") == 0 && (group_count_ == 0 || geteuid() == uid_ || become_user());
    });
    close(output_end);
    if (pid > 0)
      add(pid, output);
    else
      close(output.read_end);
    return pid;
  }

  // Becomes the user of USER for good. False with errno.
  bool become_user() const {
    gid_t gid = groups_[0];
    return setgroups(group_count_ - 1, groups_ + 1) == 0 && setresgid(gid, gid, gid) == 0 &&
           setresuid(uid_, uid_, uid_) == 0;
  }

  // They go without a filter of system calls.
  bool are_unfiltered() { return strcmp(arguments().value_of("--seccomp"), "none") == 0; }

  // What they are given beside their channel; -1 before ENGINE, and where there is none.
  int state_fd() const { return given_.fd(0); }
  int shared_fd() const { return given_.fd(1); }
  int log_fd() const { return given_.fd(2); }

 private:
  Arguments arguments() {
    auto words = reinterpret_cast<char*>(given_.bytes);
    return {words, words + given_.size};
  }

  Message given_{};
  uid_t uid_ = 0;
  gid_t groups_[257];  // the first one is the process's own, the others are beside it
  size_t group_count_ = 0;
};

}  // namespace swtpm::keeper
