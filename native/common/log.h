// Log lines. They leave the process through a sink that main installs (LOG events to the supervisor); before
// that, and in --print-info, they go to fd 2. Formatting and filtering for the user is the supervisor's work.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <string_view>

namespace swtpm {

enum class LogLevel : uint32_t { kError = 1, kWarning = 2, kInfo = 3, kDebug = 4 };

using LogSink = void (*)(LogLevel, std::string_view);

inline std::atomic<LogSink> g_log_sink{nullptr};

[[gnu::format(printf, 2, 3)]] inline void log(LogLevel level, const char* format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(text, sizeof(text) - 1, format, args);
  va_end(args);
  if (n < 0) return;
  size_t length = std::min<size_t>(static_cast<size_t>(n), sizeof(text) - 2);
  if (LogSink sink = g_log_sink.load(std::memory_order_acquire)) {
    sink(level, {text, length});
    return;
  }
  text[length++] = '\n';
  [[maybe_unused]] ssize_t written = ::write(2, text, length);
}

}  // namespace swtpm
