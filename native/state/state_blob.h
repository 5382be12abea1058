// State blobs as GET_STATEBLOB and SET_STATEBLOB move them: what is encrypted with which key, and which marks
// a blob carries of it.
#pragma once

#include "common/bytes.h"
#include "common/tpm_result.h"
#include "state/blob_crypto.h"

namespace swtpm {

// Wraps plain state for GET_STATEBLOB: encrypted with the file key unless `decrypted` is asked for, then
// with the migration key if there is one.
TpmResult wrap_state_blob(const Keys& keys, ByteView plain, bool decrypted, Bytes& out, bool& is_encrypted);

// The reverse, for SET_STATEBLOB. An empty result means: clear this state. kTpmKeyNotFound: a needed key is
// missing. `what` names the blob in the log.
TpmResult unwrap_state_blob(const Keys& keys, ByteView blob, const char* what, bool marked_encrypted,
                            Bytes& plain);

}  // namespace swtpm
