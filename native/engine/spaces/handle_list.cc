#include "engine/spaces/handle_list.h"

#include <algorithm>

#include "engine/spaces/handles.h"

namespace swtpm::spaces {
namespace {

// Header, u32 capability, u32 property, u32 count.
constexpr size_t kQuestionBytes = kTpmHeaderSizeBytes + 12;
// Header, u8 more, u32 capability, u32 count.
constexpr size_t kAnswerHeadBytes = kTpmHeaderSizeBytes + 9;
// MAX_CAP_HANDLES of a TPM with capability buffers of 1024 bytes.
constexpr uint32_t kMostAtOnce = 254;

uint32_t capability_of(ByteView command) {
  return command.size() < kTpmHeaderSizeBytes + 4 ? 0 : load_be32(&command[kTpmHeaderSizeBytes]);
}

Bytes answer(ByteView handles_be, bool more) {
  auto size = static_cast<uint32_t>(kAnswerHeadBytes + handles_be.size());
  return ByteWriter(size)
      .u16(kTagNoSessions)
      .u32(size)
      .u32(kRcSuccess)
      .u8(more)
      .u32(kCapHandles)
      .u32(static_cast<uint32_t>(handles_be.size() / 4))
      .bytes(handles_be)
      .take();
}

}  // namespace

bool lists_handles(ByteView command) {
  return message_code(command.data()) == kCcGetCapability && capability_of(command) == kCapHandles;
}

std::vector<uint32_t> unowned_saved_sessions(const Execute& execute, const ResourceManager& manager) {
  ResponseBuffer buffer;
  Bytes command = ByteWriter()
                      .u16(kTagNoSessions)
                      .u32(kQuestionBytes)
                      .u32(kCcGetCapability)
                      .u32(kCapHandles)
                      .u32(kSavedSessions)
                      .u32(kMostAtOnce)
                      .take();
  ByteReader response(execute(command, buffer));
  response.skip(6);
  if (response.u32() != kRcSuccess) return {};
  response.skip(1 + 4);
  std::vector<uint32_t> handles;
  for (uint32_t left = std::min(response.u32(), kMostAtOnce); left > 0; left--) {
    uint32_t handle = response.u32();
    if (!response.failed() && !manager.is_guests_session(handle)) handles.push_back(handle);
  }
  return handles;
}

bool answer_handle_list(const Execute& execute, const ResourceManager& manager, Space& space,
                        ByteView command, ResponseBuffer& buffer) {
  if (command.size() < kQuestionBytes) return false;
  uint32_t property = load_be32(&command[kTpmHeaderSizeBytes + 4]);
  bool is_ours = type_of(property) == kTransient || is_session(property);
  if (is_ours && load_be16(command.data()) != kTagNoSessions) {
    // What an audit session signs cannot be made here.
    buffer.set(TpmVersion::k20, kRcAuthContext);
    return true;
  }
  if (!is_ours || command.size() != kQuestionBytes) return false;
  uint32_t wanted = std::min(load_be32(&command[kTpmHeaderSizeBytes + 8]), kMostAtOnce);
  std::vector<uint32_t> handles;
  uint32_t type = type_of(property);
  // By their numbers: sessions are listed together, whichever of the two kinds they are.
  uint32_t from = number_of(property);
  if (type == kTransient) {
    handles = space.object_handles();
    // Below a client's handles the kernel's resource manager counts as the TPM does, where the first object
    // is number 0; there are programs that count along.
    if (from < number_of(kLastVirtualHandle)) {
      handles.erase(handles.begin(), handles.begin() + std::min<size_t>(from, handles.size()));
      from = 0;
    }
  } else if (type == kLoadedSessions) {
    for (const Space::Session& session : space.sessions()) handles.push_back(session.handle);
  } else {
    handles = unowned_saved_sessions(execute, manager);
  }
  std::ranges::sort(handles, {}, number_of);
  std::erase_if(handles, [&](uint32_t handle) { return number_of(handle) < from; });
  bool more = handles.size() > wanted;
  handles.resize(std::min<size_t>(handles.size(), wanted));
  ByteWriter list;
  for (uint32_t handle : handles) list.u32(handle);
  buffer.assign(answer(list.take(), more));
  return true;
}

}  // namespace swtpm::spaces
