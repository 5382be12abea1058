#include "engine/spaces/contexts.h"

#include "engine/spaces/handles.h"

namespace swtpm::spaces {
namespace {

Bytes command_of(uint32_t code, ByteView parameters) {
  auto size = static_cast<uint32_t>(kTpmHeaderSizeBytes + parameters.size());
  return ByteWriter(size).u16(kTagNoSessions).u32(size).u32(code).bytes(parameters).take();
}

Bytes command_of(uint32_t code, uint32_t handle) {
  uint8_t parameter[4];
  store_be32(parameter, handle);
  return command_of(code, ByteView(parameter));
}

// u64 sequence, u32 handle, u32 hierarchy, u16 size of the blob.
constexpr size_t kLeastContextBytes = 18;

}  // namespace

TpmResult save_context(const Execute& execute, uint32_t handle, Context& context) {
  ResponseBuffer buffer;
  Bytes command = command_of(kCcContextSave, handle);
  ByteView response = execute(command, buffer);
  TpmResult code = message_code(response.data());
  if (code != kRcSuccess) return code;
  ByteView saved = response.subspan(kTpmHeaderSizeBytes);
  if (saved.size() < kLeastContextBytes) return kRcFailure;
  context.bytes.assign(saved.begin(), saved.end());
  return kRcSuccess;
}

TpmResult load_context(const Execute& execute, const Context& context, uint32_t& handle) {
  ResponseBuffer buffer;
  Bytes command = command_of(kCcContextLoad, context.bytes);
  ByteView response = execute(command, buffer);
  TpmResult code = message_code(response.data());
  if (code != kRcSuccess) return code;
  if (response.size() < kTpmHeaderSizeBytes + 4) return kRcFailure;
  handle = load_be32(&response[kTpmHeaderSizeBytes]);
  return kRcSuccess;
}

TpmResult flush_context(const Execute& execute, uint32_t handle) {
  ResponseBuffer buffer;
  Bytes command = command_of(kCcFlushContext, handle);
  return message_code(execute(command, buffer).data());
}

}  // namespace swtpm::spaces
