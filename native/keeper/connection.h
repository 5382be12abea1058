// Pairs of sockets whose numbers are not in the way of what the user has handed in.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <initializer_list>

namespace swtpm::keeper {

// Moves a descriptor above the numbers that users hand in, as far as there are so many. -1 with errno.
inline int out_of_the_way(int fd) {
  int moved = -1;
  for (int number : {100, 20, 0})
    if (moved < 0) moved = fcntl(fd, F_DUPFD_CLOEXEC, number);
  close(fd);
  return moved;
}

inline bool make_pair(int (&ends)[2], int type) {
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0) return false;
  for (int& end : ends) end = out_of_the_way(end);
  return ends[0] >= 0 && ends[1] >= 0;
}

}  // namespace swtpm::keeper
