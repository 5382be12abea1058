// Fresh entropy for a TPM that continues from a checkpoint. The checkpoint holds the state of its random
// number generator, too: without fresh entropy the TPM would repeat the random numbers that it has given out
// since.
#pragma once

#include "engine/tpm/message.h"

namespace swtpm {

// The TPM runs. Before its Startup it refuses, and needs none.
void stir_random(TpmVersion version);

}  // namespace swtpm
