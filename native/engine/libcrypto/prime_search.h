// Ends libtpms's search for the primes of an RSA key when the command is cancelled. How, and why that is
// safe: README.md in this folder. The functions of libcrypto that the search calls are in prime_functions.cc;
// here is what they and the TPM tell each other.
//
// There is one TPM in a process, and it runs one command at a time: so there is one search at most.
#pragma once

#include "common/bytes.h"

namespace swtpm::prime_search {

// Whether this TPM 2.0 command may search for primes, and uses the functions of prime_functions.cc for
// nothing else.
bool in_command(ByteView command);

// Before such a command.
void begin();

// After it. True: the search was given false results, so what the command has done must be undone.
bool end();

// Any thread. Ends the search of the command that runs; does nothing where no such command runs.
void cancel();

// For prime_functions.cc. Whether the command is cancelled, so that the caller must give the result that ends
// the search soonest. Once this has returned true, end() returns true.
bool cut_short();

}  // namespace swtpm::prime_search
