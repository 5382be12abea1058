// What has happened since Node went to rest, for the next one. None of it is lost: a signal counts once, and
// no more engines can end than there are.
#pragma once

#include <initializer_list>

#include "keeper/engines.h"

namespace swtpm::keeper {

// What Node is told unasked.
struct Event {
  uint32_t code;
  uint32_t value;
  uint32_t words[2];
  size_t size;
};

inline Event signal_event(int number) {
  return {wire::kSaySignal, static_cast<uint32_t>(number), {}, 0};
}

inline Event end_event(pid_t engine, int status) {
  return {
      wire::kSayEngineEnded, static_cast<uint32_t>(engine), {exit_status_of(status), signal_of(status)}, 8};
}

class News {
 public:
  // False: it is known already.
  bool keep(const Event& event) {
    if (event.code == wire::kSaySignal) {
      uint32_t before = signals_;
      signals_ |= 1U << event.value;
      return signals_ != before;
    }
    if (end_count_ < kMaxEngines) ends_[end_count_++] = event;
    return true;
  }

  // Whether another engine may be started beside so many: its end would find room.
  bool have_room_beside(size_t engines) const { return engines + end_count_ < kMaxEngines; }

  bool ask_for_the_end() const { return (signals_ & ~(1U << SIGUSR2)) != 0; }

  template <typename Act>
  void for_each(Act act) const {
    for (size_t i = 0; i < end_count_; i++) act(ends_[i]);
    for (int signal : {SIGUSR2, SIGHUP, SIGINT, SIGTERM})
      if (signals_ & 1U << signal) act(signal_event(signal));
  }

  void clear() { signals_ = end_count_ = 0; }

 private:
  Event ends_[kMaxEngines];
  uint32_t end_count_ = 0;
  uint32_t signals_ = 0;
};

}  // namespace swtpm::keeper
