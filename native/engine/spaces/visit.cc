#include "engine/spaces/visit.h"

#include <algorithm>

#include "engine/spaces/handle_list.h"
#include "engine/spaces/handles.h"

namespace swtpm::spaces {
namespace {

constexpr size_t kHandleBytes = 4;
constexpr size_t kMostAuthorizations = 3;
constexpr size_t kFlushContextBytes = kTpmHeaderSizeBytes + kHandleBytes;
// In TPM2_ContextLoad, behind the header and the u64 of its sequence: what was saved.
constexpr size_t kSavedHandleOffset = kTpmHeaderSizeBytes + 8;

// What is in the way now may not be in the way later, so nothing is forgotten for it.
bool may_pass(TpmResult code) {
  return code == kRcFailure || (is_warning(code) && code < kRcReferenceH0);
}

}  // namespace

Visit::Entry Visit::enter(const Execute& execute, std::span<uint8_t> command, ResponseBuffer& buffer) {
  const auto answer = [&](TpmResult code) {
    buffer.set(TpmVersion::k20, code);
    return Entry::kAnswered;
  };
  forget_last();
  if (cancelled_.load(std::memory_order_relaxed)) {
    unmapped_ = true;
    return answer(kTpmRcCanceled);
  }
  code_ = message_code(command.data());
  // The TPM refuses it, whatever is in it.
  unmapped_ = message_size(command.data()) != command.size();
  if (unmapped_) return Entry::kRun;
  manager_.admit(space_);
  if (TpmResult code = manager_.learn(execute)) {
    // A TPM that has not been started, or is in failure mode, has nothing loaded that could be used.
    unmapped_ = code == kRcInitialize || code == kRcFailure;
    return unmapped_ ? Entry::kRun : answer(code);
  }
  auto attributes = manager_.commands().find(code_);
  if (!attributes) return answer(kRcCommandCode);
  attributes_ = *attributes;

  if (code_ == kCcFlushContext) return enter_flush(execute, command, buffer);
  if (lists_handles(command) && answer_handle_list(execute, manager_, space_, command, buffer))
    return Entry::kAnswered;
  if (!collect_references(command, attributes_.handles)) {
    unmapped_ = true;
    return Entry::kRun;
  }
  if (TpmResult code = check_references()) return answer(code);
  if (TpmResult code = want_of_room(command)) return answer(code);
  TpmResult code = load(execute, command);
  changes_tpm_ = !objects_.empty() || !sessions_.empty() || attributes_.returns_handle;
  if (code == kRcSuccess) return Entry::kRun;
  put_back(execute);
  return answer(code);
}

// A script may have one command executed several times.
void Visit::forget_last() {
  attributes_ = {};
  references_.clear();
  objects_.clear();
  sessions_.clear();
  flushed_session_ = 0;
  saved_session_ = 0;
  changes_tpm_ = false;
}

// False: it ends within its handles, so that the TPM refuses it.
bool Visit::collect_references(ByteView command, size_t handles) {
  const size_t area_end = kTpmHeaderSizeBytes + handles * kHandleBytes;
  if (command.size() < area_end) return false;
  for (size_t i = 0; i < handles; i++) {
    size_t offset = kTpmHeaderSizeBytes + i * kHandleBytes;
    references_.push_back({offset, load_be32(&command[offset]), kRcReferenceH0 + static_cast<TpmResult>(i)});
  }
  if (load_be16(command.data()) == kTagSessions) collect_authorizations(command, area_end);
  return true;
}

// u32 size of all, then for each: u32 session, u16 size and nonce, u8 attributes, u16 size and HMAC. The TPM
// refuses what does not follow this, or has more of them, before it executes anything.
void Visit::collect_authorizations(ByteView command, size_t offset) {
  ByteReader area(command.subspan(offset));
  ByteReader reader(area.bytes(area.u32()));
  const size_t start = offset + 4;
  const size_t size = reader.remaining();
  for (size_t i = 0; i < kMostAuthorizations && reader.remaining() > 0; i++) {
    size_t at = start + size - reader.remaining();
    uint32_t handle = reader.u32();
    reader.skip(reader.u16());
    reader.skip(1);
    reader.skip(reader.u16());
    if (reader.failed()) return;
    references_.push_back({at, handle, kRcReferenceS0 + static_cast<TpmResult>(i)});
  }
}

TpmResult Visit::check_references() {
  for (const Reference& reference : references_) {
    if (type_of(reference.handle) == kTransient && !space_.find_object(reference.handle))
      return reference.missing;
    if (is_session(reference.handle) && !space_.find_session(reference.handle)) return reference.missing;
  }
  return kRcSuccess;
}

// Before the command is executed, as what it has made would be lost.
TpmResult Visit::want_of_room(ByteView command) const {
  if (!attributes_.returns_handle) return kRcSuccess;
  bool session = code_ == kCcStartAuthSession;
  if (code_ == kCcContextLoad && command.size() >= kSavedHandleOffset + kHandleBytes)
    session = is_session(load_be32(&command[kSavedHandleOffset]));
  if (session) return space_.has_room_for_session() ? kRcSuccess : kRcSessionHandles;
  return space_.has_room_for_object() ? kRcSuccess : kRcObjectMemory;
}

Visit::Entry Visit::enter_flush(const Execute& execute, std::span<uint8_t> command, ResponseBuffer& buffer) {
  const bool whole = command.size() == kFlushContextBytes && load_be16(command.data()) == kTagNoSessions;
  if (!whole) {
    // The TPM says why. Whatever it thinks of the rest, it finds no handle of anything.
    if (command.size() >= kFlushContextBytes) store_be32(&command[kTpmHeaderSizeBytes], kNoHandle);
    return Entry::kRun;
  }
  uint32_t handle = load_be32(&command[kTpmHeaderSizeBytes]);
  if (type_of(handle) == kTransient) {
    buffer.set(TpmVersion::k20, space_.remove_object(handle) ? kRcSuccess : kRcHandleP1);
    return Entry::kAnswered;
  }
  if (!is_session(handle)) return Entry::kRun;
  if (!space_.find_session(handle) && !is_unowned_saved_session(execute, handle)) {
    buffer.set(TpmVersion::k20, kRcHandleP1);
    return Entry::kAnswered;
  }
  flushed_session_ = handle;
  return Entry::kRun;
}

bool Visit::is_unowned_saved_session(const Execute& execute, uint32_t handle) const {
  return std::ranges::count(unowned_saved_sessions(execute, manager_), number_of(handle), number_of) > 0;
}

TpmResult Visit::load(const Execute& execute, std::span<uint8_t> command) {
  for (const Reference& reference : references_) {
    TpmResult code = kRcSuccess;
    if (type_of(reference.handle) == kTransient) code = load_object(execute, reference, command);
    if (is_session(reference.handle)) code = load_session(execute, reference);
    if (code != kRcSuccess) return code;
  }
  if (code_ == kCcContextSave && is_session(references_[0].handle)) saved_session_ = references_[0].handle;
  return kRcSuccess;
}

TpmResult Visit::load_object(const Execute& execute, const Reference& reference, std::span<uint8_t> command) {
  auto loaded = std::ranges::find(objects_, reference.handle, &LoadedObject::handle);
  if (loaded == objects_.end()) {
    Context* context = space_.find_object(reference.handle);
    // Twice in one command, and gone at the first time.
    if (!context) return reference.missing;
    uint32_t in_tpm = 0;
    if (TpmResult code = load_context(execute, *context, in_tpm)) {
      if (may_pass(code)) return code;
      // Its hierarchy was cleared, say.
      space_.remove_object(reference.handle);
      return reference.missing;
    }
    objects_.push_back({reference.handle, in_tpm});
    loaded = objects_.end() - 1;
  }
  store_be32(&command[reference.offset], loaded->in_tpm);
  return kRcSuccess;
}

TpmResult Visit::load_session(const Execute& execute, const Reference& reference) {
  if (std::ranges::count(sessions_, reference.handle) > 0) return kRcSuccess;
  Space::Session* session = space_.find_session(reference.handle);
  if (!session) return reference.missing;
  if (!session->context.empty()) {
    uint32_t handle = 0;
    if (TpmResult code = load_context(execute, session->context, handle)) {
      if (may_pass(code)) return code;
      // A client of another way to the TPM has flushed it.
      manager_.remove_session(space_, reference.handle);
      return reference.missing;
    }
  }
  sessions_.push_back(reference.handle);
  return kRcSuccess;
}

void Visit::leave(const Execute& execute, ResponseBuffer& buffer) {
  if (unmapped_) return;
  const bool succeeded = message_code(buffer.view().data()) == kRcSuccess;
  if (succeeded && flushed_session_) manager_.remove_session(space_, flushed_session_);
  if (succeeded && saved_session_) {
    ByteReader context(buffer.view().subspan(kTpmHeaderSizeBytes));
    manager_.give_session_away(space_, saved_session_, context.u64());
    std::erase(sessions_, saved_session_);
  }
  if (succeeded && attributes_.returns_handle) take_returned(execute, buffer);
  if (changes_tpm_) put_back(execute);
}

void Visit::take_returned(const Execute& execute, ResponseBuffer& buffer) {
  std::span<uint8_t> response = buffer.bytes();
  if (response.size() < kTpmHeaderSizeBytes + kHandleBytes) return;
  uint8_t* at = &response[kTpmHeaderSizeBytes];
  const uint32_t handle = load_be32(at);
  if (is_session(handle)) {
    if (!space_.has_room_for_session()) {
      flush_context(execute, handle);
      buffer.set(TpmVersion::k20, kRcSessionHandles);
      return;
    }
    manager_.add_session(space_, handle);
    sessions_.push_back(handle);
  } else if (type_of(handle) == kTransient) {
    Context context;
    TpmResult code =
        space_.has_room_for_object() ? save_context(execute, handle, context) : TpmResult{kRcObjectMemory};
    flush_context(execute, handle);
    if (code == kRcSuccess)
      store_be32(at, space_.add_object(std::move(context)));
    else
      buffer.set(TpmVersion::k20, code);
  }
}

void Visit::put_back(const Execute& execute) {
  for (const LoadedObject& object : objects_) put_back_object(execute, object);
  for (uint32_t handle : sessions_) {
    Space::Session* session = space_.find_session(handle);
    if (session && !manager_.put_aside(execute, *session)) manager_.remove_session(space_, handle);
  }
  manager_.tidy(execute);
}

// What was saved of an object stays true, but for a sequence, which changes with each use.
void Visit::put_back_object(const Execute& execute, const LoadedObject& object) {
  Context* context = space_.find_object(object.handle);
  if (context && context->saved_handle() == kSavedSequence &&
      save_context(execute, object.in_tpm, *context) != kRcSuccess)
    space_.remove_object(object.handle);
  // The command has flushed it, or has cleared its hierarchy.
  if (flush_context(execute, object.in_tpm) == kRcHandleP1) space_.remove_object(object.handle);
}

}  // namespace swtpm::spaces
