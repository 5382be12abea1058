#include "engine/tpm/random.h"

#include <openssl/rand.h>

#include "engine/tpm/insecure_seed.h"
#include "engine/tpm/library.h"

namespace swtpm {
namespace {

constexpr uint32_t kTpm2CcStirRandom = 0x146;
constexpr uint32_t kTpm12OrdStirRandom = 0x47;
constexpr size_t kStirBytes = 32;

}  // namespace

void stir_random(TpmVersion version) {
  ByteWriter command;
  if (version == TpmVersion::k20)
    command.u16(0x8001).u32(12 + kStirBytes).u32(kTpm2CcStirRandom).u16(kStirBytes);
  else
    command.u16(0x00c1).u32(14 + kStirBytes).u32(kTpm12OrdStirRandom).u32(kStirBytes);
  uint8_t entropy[kStirBytes];
  {
    // Of a TPM with a seed it is the seed's, from a part of the stream that no engine has used before.
    insecure_seed::Scope scope;
    RAND_bytes(entropy, sizeof(entropy));
  }
  Bytes bytes = command.bytes(entropy).take();
  ResponseBuffer buffer;
  library::process(bytes, buffer);
}

}  // namespace swtpm
