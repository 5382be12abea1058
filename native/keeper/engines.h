// The engines of one TPM: who they run as, what they are started with, and which of them run.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <unistd.h>

#include "common/children.h"
#include "common/message.h"
#include "common/place_fds.h"
#include "common/start_program.h"
#include "keeper/programs.h"

namespace swtpm::keeper {

class Engines {
 public:
  // What USER asks. As the functions that follow it returns what is answered.
  int set_user(const Message& message) {
    size_t count = message.size / sizeof(gid_t);
    if (count == 0 || count > sizeof(groups_) / sizeof(gid_t)) return -EINVAL;
    has_user_ = true;
    uid_ = message.value;
    group_count_ = count - 1;
    for (size_t i = 0; i < count; i++) groups_[i] = message.word(i);
    return 0;
  }

  // ENGINE.
  int describe(Message& message) {
    if (words_size_ > 0) return -EALREADY;
    if (message.size == 0 || message.bytes[message.size - 1] != 0 || message.fd_count < 2) return -EINVAL;
    memcpy(words_, message.bytes, message.size);
    words_size_ = message.size;
    state_fd_ = message.take(0);
    shared_fd_ = message.take(1);
    log_fd_ = message.take(2);
    return 0;
  }

  // SPAWN.
  int start(const Message& message) {
    if (words_size_ == 0 || message.fd_count != 1) return -EINVAL;
    if (running_.full()) return -EAGAIN;
    char* words[kMaxWords] = {const_cast<char*>(engine_program())};
    size_t count = 1;
    for (char* word = words_; word < words_ + words_size_ && count + 1 < kMaxWords; word += strlen(word) + 1)
      words[count++] = word;
    pid_t pid = start_program(engine_program(), words, engine_environment(), [&] {
      // A terminal's ^C reaches the keeper alone.
      setsid();
      int null = open("/dev/null", O_RDWR | O_CLOEXEC);
      int log = log_fd_ >= 0 ? log_fd_ : null;
      // Every other descriptor is close-on-exec.
      return null >= 0 && place_fds(0, {null, null, log, message.fds[0], state_fd_, shared_fd_}) &&
             chdir("/") == 0 && (!has_user_ || geteuid() == uid_ || become_user());
    });
    if (pid > 0) running_.add(pid);
    return pid;
  }

  // Becomes the user of USER for good. False with errno.
  bool become_user() const {
    gid_t gid = groups_[0];
    return setgroups(group_count_, groups_ + 1) == 0 && setresgid(gid, gid, gid) == 0 &&
           setresuid(uid_, uid_, uid_) == 0;
  }

  // What the engines are given beside their channel; -1 before ENGINE, and where there is none.
  int state_fd() const { return state_fd_; }
  int shared_fd() const { return shared_fd_; }
  int log_fd() const { return log_fd_; }

  auto& running() { return running_; }

 private:
  static constexpr size_t kMaxWords = 128;
  // One runs, and another one may be about to take its place, or to end.
  Children<8> running_;
  char words_[wire::kMaxKeeperMessageBytes];
  size_t words_size_ = 0;
  int state_fd_ = -1;
  int shared_fd_ = -1;
  int log_fd_ = -1;
  bool has_user_ = false;
  uid_t uid_ = 0;
  gid_t groups_[257];  // the first one is the process's own, the others are beside it
  size_t group_count_ = 0;
};

}  // namespace swtpm::keeper
