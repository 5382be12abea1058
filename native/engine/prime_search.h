// Ends libtpms's search for the primes of an RSA key when the command is cancelled. libtpms looks for a
// cancellation before it searches for a prime, and not while it does, which is most of the time that
// TPM2_Create takes. What every search waits for is BN_mod_exp(), of libcrypto, by which it tests numbers:
// once the command is cancelled, every number passes the test, and the search is over. The key that this
// makes is worthless; whoever runs the command takes the TPM back to where it was.
#pragma once

#include "common/bytes.h"

namespace swtpm::prime_search {

// Whether this TPM 2.0 command may search for primes, and does nothing else that the test is used for.
bool in_command(ByteView command);

// Around such a command.
void begin();
// Returns whether a number has passed that was not tested.
bool end();

// From another thread. Nothing happens where no such command runs.
void cancel();

}  // namespace swtpm::prime_search
