// The reason of a system call that failed, for log lines. Its words are the supervisor's, so that all
// programs have the same ones for an errno: it replaces `{errno 28}` in a LOG event by them.
#pragma once

#include <cstdio>

namespace swtpm {

struct Reason {
  char text[24];
};

// error: a positive errno.
inline Reason reason_of(int error) {
  Reason reason;
  snprintf(reason.text, sizeof(reason.text), "{errno %d}", error);
  return reason;
}

}  // namespace swtpm
