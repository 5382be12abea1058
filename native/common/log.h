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
  LogOnce() { current_ = this; }
  ~LogOnce() { current_ = nullptr; }
  LogOnce(const LogOnce&) = delete;
  LogOnce& operator=(const LogOnce&) = delete;

  static bool is_new(std::string_view text) { return !current_ || current_->logged_.emplace(text).second; }

 private:
  static inline thread_local LogOnce* current_ = nullptr;
  std::set<std::string> logged_;
};

[[gnu::format(printf, 2, 3)]] inline void log(LogLevel level, const char* format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(text, sizeof(text) - 1, format, args);
  va_end(args);
  if (n < 0) return;
  size_t length = std::min<size_t>(static_cast<size_t>(n), sizeof(text) - 2);
  if (!LogOnce::is_new({text, length})) return;
  if (LogSink sink = g_log_sink.load(std::memory_order_acquire)) {
    sink(level, {text, length});
    return;
  }
  text[length++] = '\n';
  [[maybe_unused]] ssize_t written = ::write(2, text, length);
}

}  // namespace swtpm
