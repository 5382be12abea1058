// The question which handles there are (TPM2_GetCapability with TPM_CAP_HANDLES), as a client is answered
// that shares the TPM with others.
#pragma once

#include "engine/spaces/resource_manager.h"

namespace swtpm::spaces {

// Whether it asks for handles, of whatever kind.
bool lists_handles(ByteView command);

// Answers for objects and sessions, which are the client's own. False: another kind is asked for, or the
// question is for the TPM to refuse.
bool answer_handle_list(const Execute& execute, const ResourceManager& manager, Space& space,
                        ByteView command, ResponseBuffer& buffer);

// The sessions that the TPM has saved and no client's space has, in ascending order.
std::vector<uint32_t> unowned_saved_sessions(const Execute& execute, const ResourceManager& manager);

}  // namespace swtpm::spaces
