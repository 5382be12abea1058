// Log lines. They go to a sink that main installs (LOG events to the supervisor); before that, and in
// --print-info, they go to fd 2. The supervisor formats and filters them for the user.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <set>
#include <string>
#include <string_view>

namespace swtpm {

enum class LogLevel : uint32_t { kError = 1, kWarning = 2, kInfo = 3, kDebug = 4 };

using LogSink = void (*)(LogLevel, std::string_view);

inline std::atomic<LogSink> g_log_sink{nullptr};

// While an object of this class exists, its thread logs each text once. libtpms reads a state that it cannot
// use twice, and the second message would be the same.
class LogOnce {
 public:
  // logged: the texts, where they are to be remembered for longer.
  explicit LogOnce(std::set<std::string>* logged = nullptr)
      : before_(current_), logged_(logged ? logged : &own_) {
    current_ = this;
  }
  ~LogOnce() { current_ = before_; }
  LogOnce(const LogOnce&) = delete;
  LogOnce& operator=(const LogOnce&) = delete;

  static bool is_new(std::string_view text) { return !current_ || current_->logged_->emplace(text).second; }

 private:
  static inline thread_local LogOnce* current_ = nullptr;
  LogOnce* before_;
  std::set<std::string> own_;
  std::set<std::string>* logged_;
};

// While an object of this class exists, its thread ends each error with this text: what to do about it.
class LogAdvice {
 public:
  explicit LogAdvice(std::string text) : text_(std::move(text)) { current_ = this; }
  ~LogAdvice() { current_ = nullptr; }
  LogAdvice(const LogAdvice&) = delete;
  LogAdvice& operator=(const LogAdvice&) = delete;

  static std::string_view of(LogLevel level) {
    return current_ && level == LogLevel::kError ? std::string_view(current_->text_) : std::string_view();
  }

 private:
  static inline thread_local LogAdvice* current_ = nullptr;
  std::string text_;
};

[[gnu::format(printf, 2, 3)]] inline void log(LogLevel level, const char* format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(text, sizeof(text) - 1, format, args);
  va_end(args);
  if (n < 0) return;
  size_t length = std::min<size_t>(static_cast<size_t>(n), sizeof(text) - 2);
  length += LogAdvice::of(level).copy(text + length, sizeof(text) - 1 - length);
  if (!LogOnce::is_new({text, length})) return;
  if (LogSink sink = g_log_sink.load(std::memory_order_acquire)) {
    sink(level, {text, length});
    return;
  }
  text[length++] = '\n';
  [[maybe_unused]] ssize_t written = ::write(2, text, length);
}

}  // namespace swtpm
