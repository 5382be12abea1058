// Makes the engine do what a broken-in guest might: it reaches for a file beside the state directory, by way of the
// descriptor that it has, whenever it syncs a file. If that is denied it leaves a file in the state directory that says so.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STATE_FD = 4 };

int fsync(int fd) {
  // Landlock refuses it, or it is not there: the directory is the root of an engine of root.
  int outside = openat(STATE_FD, "../outside", O_RDONLY);
  if (outside < 0 && (errno == EACCES || errno == ENOENT)) close(openat(STATE_FD, "denied", O_CREAT | O_WRONLY, 0600));
  if (outside >= 0) close(outside);
  return (int)syscall(SYS_fsync, fd);
}
