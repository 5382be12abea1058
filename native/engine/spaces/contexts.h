// Putting something of a TPM 2.0 aside, and back.
#pragma once

#include "engine/tpm/surrounding.h"

namespace swtpm::spaces {

// A TPMS_CONTEXT, as TPM2_ContextSave gave it.
struct Context {
  Bytes bytes;

  bool empty() const { return bytes.empty(); }
  // Counts the contexts of sessions that the TPM has saved.
  uint64_t sequence() const { return bytes.size() < 8 ? 0 : load_be64(bytes.data()); }
  uint32_t saved_handle() const { return bytes.size() < 12 ? 0 : load_be32(&bytes[8]); }
};

// Each returns the TPM's response code.

TpmResult save_context(const Execute& execute, uint32_t handle, Context& context);
TpmResult load_context(const Execute& execute, const Context& context, uint32_t& handle);
TpmResult flush_context(const Execute& execute, uint32_t handle);

}  // namespace swtpm::spaces
