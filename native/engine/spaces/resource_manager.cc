#include "engine/spaces/resource_manager.h"

#include <algorithm>

#include "common/log.h"
#include "engine/spaces/handles.h"

namespace swtpm::spaces {
namespace {

// The smallest that a TPM may have (Part 2, TPM_PT_CONTEXT_GAP_MAX): 2^8 - 1.
constexpr uint64_t kLeastContextGap = 0xff;
// Sessions that are saved anew after one command, at most.
constexpr int kMostRefreshed = 4;

// The TPM does not have it, or what is saved of it is worth nothing.
bool is_gone(TpmResult code) {
  return code != kRcSuccess && code != kRcFailure && !(is_warning(code) && code < kRcReferenceH0);
}

TpmResult read_context_gap(const Execute& execute, uint64_t& gap) {
  ResponseBuffer buffer;
  Bytes command = ByteWriter()
                      .u16(kTagNoSessions)
                      .u32(22)
                      .u32(kCcGetCapability)
                      .u32(kCapTpmProperties)
                      .u32(kPtContextGapMax)
                      .u32(1)
                      .take();
  ByteReader response(execute(command, buffer));
  response.skip(6);
  if (TpmResult code = response.u32()) return code;
  response.skip(1 + 4 + 4);
  uint32_t property = response.u32();
  uint32_t value = response.u32();
  bool known = !response.failed() && property == kPtContextGapMax && value > 0;
  gap = known ? value : kLeastContextGap;
  return kRcSuccess;
}

}  // namespace

bool GuestSessions::add(uint32_t handle) {
  for (auto& slot : handles) {
    if (slot.load() != 0) continue;
    slot.store(handle);
    return true;
  }
  return false;
}

void GuestSessions::remove(uint32_t handle) {
  for (auto& slot : handles)
    if (slot.load() != 0 && number_of(slot.load()) == number_of(handle)) slot.store(0);
}

bool GuestSessions::contains(uint32_t handle) const {
  return std::ranges::any_of(handles, [&](const auto& slot) {
    uint32_t held = slot.load();
    return held != 0 && number_of(held) == number_of(handle);
  });
}

ResourceManager::ResourceManager(Tpm& tpm, GuestSessions& guest_sessions)
    : tpm_(tpm), guest_sessions_(guest_sessions) {
  tpm.set_guests(this);
}

void ResourceManager::close(Space& space) {
  tpm_.between_commands([&](const Execute* execute) {
    if (execute) flush_sessions(*execute, space);
    std::erase(spaces_, &space);
  });
}

void ResourceManager::flush_sessions(const Execute& execute, Space& space) {
  for (Space::Session& session : space.sessions()) {
    // A client of the plain device may have flushed it, and have another one by its handle; its context
    // tells.
    uint32_t loaded = session.handle;
    TpmResult code = session.context.empty() ? kRcSuccess : load_context(execute, session.context, loaded);
    if (!is_gone(code)) flush_context(execute, session.handle);
    guest_sessions_.remove(session.handle);
  }
  space.clear();
}

void ResourceManager::clear_out(const Execute& execute) {
  for (Space* space : spaces_) flush_sessions(execute, *space);
  spaces_.clear();
  given_away_.clear();
  commands_.forget();
  context_gap_ = 0;
  last_sequence_ = 0;
}

void ResourceManager::clear_out_others(const Execute& execute) {
  for (auto& slot : guest_sessions_.handles) {
    uint32_t handle = slot.load();
    if (is_session(handle)) flush_context(execute, handle);
    slot.store(0);
  }
}

void ResourceManager::admit(Space& space) {
  if (std::ranges::find(spaces_, &space) == spaces_.end()) spaces_.push_back(&space);
}

TpmResult ResourceManager::learn(const Execute& execute) {
  if (context_gap_ != 0) return kRcSuccess;
  if (TpmResult code = commands_.read(execute)) return code;
  return read_context_gap(execute, context_gap_);
}

void ResourceManager::add_session(Space& space, uint32_t handle) {
  given_away_.erase(number_of(handle));
  guest_sessions_.remove(handle);
  guest_sessions_.add(handle);
  // One that had this handle was flushed by a client of another way to the TPM.
  for (Space* other : spaces_)
    std::erase_if(other->sessions(), [&](const Space::Session& session) {
      return number_of(session.handle) == number_of(handle);
    });
  space.sessions().push_back({handle, {}});
}

void ResourceManager::remove_session(Space& space, uint32_t handle) {
  space.remove_session(handle);
  guest_sessions_.remove(handle);
}

void ResourceManager::give_session_away(Space& space, uint32_t handle, uint64_t sequence) {
  remove_session(space, handle);
  given_away_[number_of(handle)] = sequence;
  last_sequence_ = std::max(last_sequence_, sequence);
}

bool ResourceManager::put_aside(const Execute& execute, Space::Session& session) {
  Context saved;
  TpmResult code = save_context(execute, session.handle, saved);
  if (code == kRcContextGap && give_up_oldest_given_away(execute))
    code = save_context(execute, session.handle, saved);
  if (is_gone(code)) return false;
  // Empty where it could not be saved.
  session.context = std::move(saved);
  last_sequence_ = std::max(last_sequence_, session.context.sequence());
  return true;
}

Space::Session* ResourceManager::oldest_session() {
  Space::Session* oldest = nullptr;
  for (Space* space : spaces_)
    for (Space::Session& session : space->sessions())
      if (!session.context.empty() && (!oldest || session.context.sequence() < oldest->context.sequence()))
        oldest = &session;
  return oldest;
}

// What a client has saved, and has not loaded for so long that no session could be saved any more.
bool ResourceManager::give_up_oldest_given_away(const Execute& execute) {
  auto oldest = std::ranges::min_element(given_away_, {}, [](const auto& entry) { return entry.second; });
  if (oldest == given_away_.end()) return false;
  log(LogLevel::kWarning,
      "Session %u is flushed: its context was saved so long ago that the TPM would save no other one",
      oldest->first);
  bool flushed = flush_context(execute, kHmacSession | oldest->first) == kRcSuccess;
  given_away_.erase(oldest);
  return flushed;
}

void ResourceManager::tidy(const Execute& execute) {
  for (Space* space : spaces_) {
    std::vector<uint32_t> gone;
    for (Space::Session& session : space->sessions())
      if (session.context.empty() && !put_aside(execute, session)) gone.push_back(session.handle);
    for (uint32_t handle : gone) remove_session(*space, handle);
  }
  for (int refreshed = 0; refreshed < kMostRefreshed; refreshed++) {
    Space::Session* oldest = oldest_session();
    if (!oldest || last_sequence_ - oldest->context.sequence() <= context_gap_ / 2) return;
    uint32_t handle = oldest->handle;
    // One that the TPM does not have any more is told from others when its client uses it.
    TpmResult code = load_context(execute, oldest->context, handle);
    if (code == kRcSuccess) put_aside(execute, *oldest);
    if (is_gone(code)) {
      handle = oldest->handle;
      for (Space* space : spaces_) space->remove_session(handle);
      guest_sessions_.remove(handle);
    }
  }
}

}  // namespace swtpm::spaces
