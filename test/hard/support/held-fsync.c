/* A disk that takes its time: while the test says so, fsync() does not return. Both speak through one file, named by
 * HELD_FSYNC and mapped before main(), because the sandbox denies the engine any other: its byte 0 says "hold", and
 * byte 1 how many calls are held. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { HOLD = 0, HELD = 1, SIZE = 2 };

static volatile unsigned char* shared;

__attribute__((constructor)) static void begin(void) {
  const char* path = getenv("HELD_FSYNC");
  int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void* map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (map != MAP_FAILED) shared = map;
}

int fsync(int fd) {
  if (shared && shared[HOLD]) {
    shared[HELD]++;
    while (shared[HOLD]) poll(0, 0, 1);
    shared[HELD]--;
  }
  return (int)syscall(SYS_fsync, fd);
}
