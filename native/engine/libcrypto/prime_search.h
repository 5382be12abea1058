// Ends libtpms's search for the primes of an RSA key when the command is cancelled. libtpms looks for a
// cancellation before it searches for a prime, and not while it does, which is most of the time that
// making a key takes. What every search waits for are functions of libcrypto: BN_div(), by which it sieves
// numbers, and BN_mod_exp(), by which it tests those that are left. Once the command is cancelled nothing is
// divided, every number passes the test, and the search is over. The key that this makes is worthless;
// whoever runs the command takes the TPM back to where it was. RSA_generate_key_ex(), which makes keys that
// come from no seed, can be told to end.
#pragma once

#include "common/bytes.h"

namespace swtpm::prime_search {

// Whether this TPM 2.0 command may search for primes, and does nothing else that these functions are used
// for.
bool in_command(ByteView command);

// Around such a command.
void begin();
// Returns whether the search was told anything but the truth.
bool end();

// From another thread. Nothing happens where no such command runs.
void cancel();

}  // namespace swtpm::prime_search
