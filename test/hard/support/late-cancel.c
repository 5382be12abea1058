// A CANCEL that reaches libtpms late: the call waits for the next TPM command to begin, as it might when its thread is
// not scheduled for a while, but not for longer than a second.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>

static atomic_uint begun;

uint32_t TPMLIB_Process(unsigned char** response, uint32_t* size, uint32_t* capacity, unsigned char* command,
                        uint32_t command_size) {
  static uint32_t (*real)(unsigned char**, uint32_t*, uint32_t*, unsigned char*, uint32_t);
  if (!real) *(void**)&real = dlsym(RTLD_NEXT, "TPMLIB_Process");
  begun++;
  return real(response, size, capacity, command, command_size);
}

uint32_t TPMLIB_CancelCommand(void) {
  static uint32_t (*real)(void);
  if (!real) *(void**)&real = dlsym(RTLD_NEXT, "TPMLIB_CancelCommand");
  unsigned before = begun;
  for (int i = 0; i < 1000 && begun == before; i++) poll(0, 0, 1);
  // libtpms forgets a CANCEL of before the command: let it begin.
  if (begun != before) poll(0, 0, 5);
  return real();
}
