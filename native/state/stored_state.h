// State as a store keeps it: encrypted where there is a file key, and plain only where there is none.
#pragma once

#include "common/bytes.h"
#include "common/tpm_result.h"
#include "state/blob_crypto.h"

namespace swtpm {

// The plain state in a stored blob. An error (logged, with the name `what`): it cannot be used, or a key is
// there for state that is not encrypted, or the other way round.
TpmResult read_stored_state(const Key& key, ByteView blob, const char* what, Bytes& plain);

// The reverse.
TpmResult make_stored_state(const Key& key, ByteView plain, Bytes& blob);

}  // namespace swtpm
