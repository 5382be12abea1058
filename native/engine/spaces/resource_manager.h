// Several clients of one TPM 2.0, each with objects and sessions of its own: what none of them decides alone.
// The rules are those of the kernel's resource manager, drivers/char/tpm/tpm2-space.c;
// docs/design/0008-resource-manager.md says where they are kept otherwise, and why.
//
// Methods marked "in a turn" are called with the Tpm's mutex held.
#pragma once

#include <map>
#include <vector>

#include "common/shared_atomic.h"
#include "engine/spaces/command_attributes.h"
#include "engine/spaces/space.h"
#include "engine/tpm/tpm.h"

namespace swtpm::spaces {

// In the shared state: the sessions that an engine's clients have, for the next engine to flush. Plain data.
struct GuestSessions {
  // As many as a TPM has at once (MAX_ACTIVE_SESSIONS); 0: none.
  SharedAtomic<uint32_t> handles[64];

  bool add(uint32_t handle);
  void remove(uint32_t handle);
  bool contains(uint32_t handle) const;
};

class ResourceManager final : public Guests {
 public:
  ResourceManager(Tpm& tpm, GuestSessions& guest_sessions);
  ResourceManager(const ResourceManager&) = delete;
  ResourceManager& operator=(const ResourceManager&) = delete;

  // The client has gone: flushes what it has in the TPM. Waits for the TPM.
  void close(Space& space);

  void clear_out(const Execute& execute) override;
  void clear_out_others(const Execute& execute) override;

  // ---- In a turn.

  void admit(Space& space);
  // Asks the TPM what it has to know of it, once. Returns the TPM's response code.
  TpmResult learn(const Execute& execute);
  const CommandTable& commands() const { return commands_; }

  void add_session(Space& space, uint32_t handle);
  void remove_session(Space& space, uint32_t handle);
  // The client has saved it, and has its context.
  void give_session_away(Space& space, uint32_t handle, uint64_t sequence);
  // By its number, of whichever kind.
  bool is_guests_session(uint32_t handle) const { return guest_sessions_.contains(handle); }

  // Saves a session that is loaded. False: the TPM does not have it any more. One that cannot be saved now
  // stays loaded.
  bool put_aside(const Execute& execute, Space::Session& session);
  // Saves what stayed loaded, and anew what was saved long ago: the TPM refuses to save sessions when the
  // oldest one falls too far behind (TPM_RC_CONTEXT_GAP).
  void tidy(const Execute& execute);

 private:
  Space::Session* oldest_session();
  bool give_up_oldest_given_away(const Execute& execute);
  void flush_sessions(const Execute& execute, Space& space);

  Tpm& tpm_;
  GuestSessions& guest_sessions_;

  // In a turn.
  CommandTable commands_;
  std::vector<Space*> spaces_;
  // Sessions whose contexts clients have, by number, with the number that the TPM gave the context.
  std::map<uint32_t, uint64_t> given_away_;
  uint64_t last_sequence_ = 0;
  uint64_t context_gap_ = 0;
};

}  // namespace swtpm::spaces
