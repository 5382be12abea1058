// The keeper's own lines in the log, of which there are few: as text, also with format=json.
#pragma once

#include <stdio.h>
#include <string.h>
#include <unistd.h>

namespace swtpm::keeper {

inline int g_log_fd = STDERR_FILENO;
inline const char* g_log_prefix = "";

template <typename... Values>
void log(const char* format, Values... values) {
  char text[512];
  char line[1024];
  snprintf(text, sizeof(text), format, values...);
  snprintf(line, sizeof(line), "%.256s%s\n", g_log_prefix, text);
  (void)!write(g_log_fd, line, strlen(line));
}

}  // namespace swtpm::keeper
