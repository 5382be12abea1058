// Shows data commands to the supervisor, where a script decides what becomes of each: it may answer, alter,
// hold or lose it. Off, which is the rule, a command costs one load of a flag.
//
// A command waits here with no mutex held but this one's own, so verbs, CANCEL and other descriptors go on.
#pragma once

#include <poll.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

#include "engine/channel/channel.h"

namespace swtpm {

class Interceptor {
 public:
  explicit Interceptor(Channel& channel) : channel_(channel) {}

  // Whom a command is from, while it waits.
  struct Client {
    // What can be asked whether it is still there; -1: somebody says so by client_left().
    int fd = -1;
    // The poll() events by which it says that it has gone, besides POLLHUP and POLLERR.
    short gone_on = 0;
    // Sends it a part of its response, ahead of the rest.
    std::function<void(ByteView)> send_part;
    // What tells it from others, where client_left() is called for it.
    const void* who = nullptr;
  };

  struct Order {
    enum class What {
      kVerdict,     // of the supervisor
      kTurnedAway,  // turn_away() was called
      kClientGone
    } what = What::kVerdict;
    wire::Verdict verdict = wire::Verdict::kPass;
    int error = 0;
    Bytes bytes{};
  };

  bool on() const { return on_.load(std::memory_order_relaxed); }

  // Off: what waits passes.
  void set_on(bool on);

  // Shows a command. One at a time: it is what its front end is at. Returns its number.
  uint32_t show(ByteView command, uint8_t locality, const void* who);
  // Waits for what is to become of it, or what is to follow.
  Order wait(uint32_t number, const Client& client);
  // What the TPM has answered to it.
  void executed(uint32_t number, ByteView response);

  // False: the command does not wait.
  bool respond(uint32_t number, Order order);

  // Those that wait fail: the TPM is powered off for good, or handed over.
  void turn_away();
  // The client has gone; its command may wait.
  void client_left(const void* who);

 private:
  static bool has_gone(const Client& client);
  void gone(uint32_t number, wire::CommandGone why);

  Channel& channel_;
  std::atomic<bool> on_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  uint32_t number_ = 0;  // of the command that was shown last
  bool waits_ = false;   // it is not decided
  bool left_ = false;    // its client has
  const void* who_ = nullptr;
  bool turned_away_ = false;
  bool ordered_ = false;  // the supervisor has begun with it
  std::deque<Order> orders_;
};

}  // namespace swtpm
