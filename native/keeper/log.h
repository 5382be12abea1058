// The keeper's own lines in the log, of which there are few.
#pragma once

#include <stdio.h>
#include <string.h>
#include <unistd.h>

namespace swtpm::keeper {

inline int g_log_fd = STDERR_FILENO;

// `format` ends the line.
template <typename... Values>
void log(const char* format, Values... values) {
  char line[512];
  int size = snprintf(line, sizeof(line), format, values...);
  if (size > 0) (void)!write(g_log_fd, line, strnlen(line, sizeof(line)));
}

}  // namespace swtpm::keeper
