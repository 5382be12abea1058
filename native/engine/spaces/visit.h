// One command of a client that shares the TPM 2.0 with others: what it needs of its space is loaded, its
// handles are made the TPM's, and afterwards everything is put aside again and the response's handles are
// made the client's.
#pragma once

#include <atomic>
#include <vector>

#include "engine/spaces/resource_manager.h"

namespace swtpm::spaces {

class Visit final : public Surrounding {
 public:
  Visit(ResourceManager& manager, Space& space) : manager_(manager), space_(space) {}
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

  Entry enter(const Execute& execute, std::span<uint8_t> command, ResponseBuffer& buffer) override;
  bool changes_tpm() const override { return changes_tpm_; }
  void leave(const Execute& execute, ResponseBuffer& buffer) override;
  void undone() override {}

  // Any thread: the command is not to be executed, if it has not begun.
  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  // Before each command.
  void renew() { cancelled_.store(false, std::memory_order_relaxed); }

 private:
  // What the command names: where, as what, and the answer when it is not there.
  struct Reference {
    size_t offset;
    uint32_t handle;
    TpmResult missing;
  };
  struct LoadedObject {
    uint32_t handle;  // the client's
    uint32_t in_tpm;  // the TPM's
  };

  void forget_last();
  bool collect_references(ByteView command, size_t handles);
  void collect_authorizations(ByteView command, size_t offset);
  TpmResult check_references();
  TpmResult want_of_room(ByteView command) const;
  Entry enter_flush(const Execute& execute, std::span<uint8_t> command, ResponseBuffer& buffer);
  bool is_unowned_saved_session(const Execute& execute, uint32_t handle) const;
  TpmResult load(const Execute& execute, std::span<uint8_t> command);
  TpmResult load_object(const Execute& execute, const Reference& reference, std::span<uint8_t> command);
  TpmResult load_session(const Execute& execute, const Reference& reference);
  void take_returned(const Execute& execute, ResponseBuffer& buffer);
  void put_back(const Execute& execute);
  void put_back_object(const Execute& execute, const LoadedObject& object);

  ResourceManager& manager_;
  Space& space_;

  std::atomic<bool> cancelled_{false};
  uint32_t code_ = 0;
  bool unmapped_ = false;  // the TPM executes nothing that has to do with handles
  CommandAttributes attributes_;
  std::vector<Reference> references_;
  std::vector<LoadedObject> objects_;
  std::vector<uint32_t> sessions_;  // loaded
  uint32_t flushed_session_ = 0;
  uint32_t saved_session_ = 0;
  bool changes_tpm_ = false;
};

}  // namespace swtpm::spaces
