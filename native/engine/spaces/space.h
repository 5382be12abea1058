// What one client has in a TPM 2.0 that it shares with others: its objects and sessions. While no command of
// the client runs the objects are put aside, outside of the TPM, and so are the sessions.
//
// Under the Tpm's mutex.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "engine/spaces/contexts.h"
#include "engine/spaces/handles.h"

namespace swtpm::spaces {

// Of as many as a client may have; the kernel's resource manager has three of each.
inline constexpr size_t kMaxObjects = 16;
inline constexpr size_t kMaxSessions = 8;
inline constexpr uint32_t kLastVirtualHandle = kFirstVirtualHandle - kMaxObjects + 1;

class Space {
 public:
  struct Session {
    uint32_t handle;
    // Empty: the TPM could not save it, and has it loaded.
    Context context;
  };

  // ---- Objects, by the handles that the client knows.

  bool has_room_for_object() const { return free_slot().has_value(); }
  // Returns the handle; there must be room.
  uint32_t add_object(Context context) {
    size_t slot = *free_slot();
    objects_[slot] = std::move(context);
    return virtual_handle(slot);
  }
  // Null: there is none.
  Context* find_object(uint32_t handle) {
    std::optional<Context>* object = slot_of(handle);
    return object && object->has_value() ? &**object : nullptr;
  }
  bool remove_object(uint32_t handle) {
    std::optional<Context>* object = slot_of(handle);
    if (!object || !object->has_value()) return false;
    object->reset();
    return true;
  }
  // Ascending.
  std::vector<uint32_t> object_handles() const {
    std::vector<uint32_t> handles;
    for (size_t slot = kMaxObjects; slot-- > 0;)
      if (objects_[slot]) handles.push_back(virtual_handle(slot));
    return handles;
  }

  // ---- Sessions, which have the TPM's own handles.

  std::vector<Session>& sessions() { return sessions_; }
  bool has_room_for_session() const { return sessions_.size() < kMaxSessions; }
  Session* find_session(uint32_t handle) {
    for (Session& session : sessions_)
      if (session.handle == handle) return &session;
    return nullptr;
  }
  void remove_session(uint32_t handle) {
    std::erase_if(sessions_, [&](const Session& session) { return session.handle == handle; });
  }

  void clear() {
    for (auto& object : objects_) object.reset();
    sessions_.clear();
  }

 private:
  static uint32_t virtual_handle(size_t slot) { return kFirstVirtualHandle - static_cast<uint32_t>(slot); }
  std::optional<size_t> free_slot() const {
    for (size_t slot = 0; slot < kMaxObjects; slot++)
      if (!objects_[slot]) return slot;
    return std::nullopt;
  }
  std::optional<Context>* slot_of(uint32_t handle) {
    size_t slot = kFirstVirtualHandle - handle;
    return slot < kMaxObjects ? &objects_[slot] : nullptr;
  }

  std::array<std::optional<Context>, kMaxObjects> objects_;
  std::vector<Session> sessions_;
};

}  // namespace swtpm::spaces
