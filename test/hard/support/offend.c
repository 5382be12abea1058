// Makes the engine do what a broken-in guest might: a system call that no TPM needs, whenever it syncs a file.
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>

int fsync(int fd) {
  syscall(SYS_getppid);
  return (int)syscall(SYS_fsync, fd);
}
