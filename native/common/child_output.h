// What a child says on its standard error: a pipe that is read when the child has ended. So it costs nothing
// while it runs, and a child that nobody trusts says a few kilobytes, once. It needs no C++ library.
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "common/eintr.h"

namespace swtpm {

struct ChildOutput {
  // From this level of the log on libtpms says each step, and nothing of it is kept back: it is read whenever
  // there is something.
  static constexpr unsigned long kLiveLevel = 5;
  static constexpr size_t kMostBytes = 16 << 10;

  int read_end;  // -1: no pipe could be made
  bool live;

  // Writes to `log` what is there by now, or a part of it: as lines of their own, with nothing that a
  // terminal would obey. False: there was nothing.
  bool pass_on(int log, pid_t child) const {
    static char bytes[kMostBytes];
    ssize_t n = no_eintr([&] { return read(read_end, bytes, sizeof(bytes)); });
    for (char *line = bytes, *end = bytes + n; n > 0 && line != end;)
      line = write_line(log, child, line, end);
    return n > 0;
  }

 private:
  // Returns what follows the line.
  char* write_line(int log, pid_t child, char* line, char* end) const {
    auto* newline = static_cast<char*>(memchr(line, '\n', static_cast<size_t>(end - line)));
    int length = static_cast<int>((newline ? newline : end) - line);
    for (int i = 0; i < length; i++)
      if (line[i] < ' ' || line[i] > '~') line[i] = '?';
    if (live)
      dprintf(log, "%.*s%s", length, line, newline ? "\n" : "");
    else
      dprintf(log, "tpm-engine (process %d): %.*s\n", static_cast<int>(child), length, line);
    return newline ? newline + 1 : end;
  }
};

// Makes the pipe of a child that is about to be started. Returns the child's end, -1 where there is none.
inline int make_child_output(ChildOutput& output, bool live) {
  int ends[2];
  output = {-1, live};
  if (pipe2(ends, O_CLOEXEC) < 0) return -1;
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  // Nobody reads it before the end of the child, which must not wait for that.
  if (!live) fcntl(ends[1], F_SETFL, O_NONBLOCK);
  output.read_end = ends[0];
  return ends[1];
}

}  // namespace swtpm
