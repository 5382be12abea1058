// One way to bring a command to a TPM and its response back, with as little around it as possible: what is
// measured is the TPM's side.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/bytes.h"

namespace swtpm::bench {

// Ends the program with what could not be done and, if there is one, the reason in errno.
[[noreturn, gnu::format(printf, 1, 2)]] void fail(const char* format, ...);

class Exchange {
 public:
  virtual ~Exchange() = default;
  // The command is with the TPM when this returns, and may be finished or not.
  virtual void send(ByteView command) = 0;
  // The response to the command sent last; valid until the next call.
  virtual ByteView receive() = 0;
  // An ioctl() with this argument, which takes the answer.
  virtual void control(unsigned long request, std::span<uint8_t> argument);
};

// unix:PATH, tcp:PORT (of 127.0.0.1), control:PATH (a control channel on a Unix socket), device:PATH,
// direct:VERSION[,FILE] (1.2 or 2: libtpms in this process; FILE: permanent state that a swtpm has stored
// unencrypted).
std::unique_ptr<Exchange> connect_to(std::string_view address);

// libtpms in this process, started up, its state in no file. An empty path: a new TPM.
std::unique_ptr<Exchange> direct_exchange(bool tpm2, const std::string& state_path);

}  // namespace swtpm::bench
