// TPM messages as bytes: the header that commands and responses share, the responses that the engine makes
// itself, and the buffer that a response lies in.
#pragma once

#include <algorithm>
#include <cstdlib>

#include "common/bytes.h"
#include "common/tpm_result.h"

namespace swtpm {

// u16 tag, u32 size of the whole message, u32 command code / ordinal / response code.
inline constexpr size_t kTpmHeaderSizeBytes = 10;
inline constexpr size_t kTpmBufferSizeBytes = wire::kTpmBufferSizeBytes;

inline uint32_t message_size(const uint8_t* message) {
  return load_be32(message + 2);
}
inline uint32_t message_code(const uint8_t* message) {
  return load_be32(message + 6);
}

// Holds one response. libtpms may reallocate the memory, hence malloc. Each front end has a buffer of its
// own, so that the TPM can run the next command while a response is written to its client.
class ResponseBuffer {
 public:
  ResponseBuffer() : capacity_(kTpmBufferSizeBytes), data_(static_cast<uint8_t*>(malloc(capacity_))) {}
  ~ResponseBuffer() { free(data_); }
  ResponseBuffer(const ResponseBuffer&) = delete;
  ResponseBuffer& operator=(const ResponseBuffer&) = delete;

  // A response without parameters: success or an error.
  ByteView set(TpmVersion version, TpmResult code) {
    store_be16(data_, version == TpmVersion::k20 ? 0x8001 : 0x00c4);
    store_be32(data_ + 2, kTpmHeaderSizeBytes);
    store_be32(data_ + 6, code);
    size_ = kTpmHeaderSizeBytes;
    return view();
  }
  // Any bytes. Where there is no memory for them, the response is empty.
  ByteView assign(ByteView bytes) {
    if (bytes.size() > capacity_) {
      auto* larger = static_cast<uint8_t*>(realloc(data_, bytes.size()));
      if (!larger) bytes = {};
      if (larger) {
        data_ = larger;
        capacity_ = static_cast<uint32_t>(bytes.size());
      }
    }
    std::copy(bytes.begin(), bytes.end(), data_);
    size_ = static_cast<uint32_t>(bytes.size());
    return view();
  }
  // Lends the memory to `write(&data, &size, &capacity)`, which may reallocate it, and returns what that
  // returns.
  template <typename Write>
  auto fill(Write write) {
    size_ = 0;
    return write(&data_, &size_, &capacity_);
  }
  ByteView view() const { return {data_, size_}; }
  std::span<uint8_t> bytes() { return {data_, size_}; }

 private:
  uint32_t capacity_;
  uint32_t size_ = 0;
  uint8_t* data_;
};

// The codes differ by version for the same fault.
inline TpmResult failure_code(TpmVersion v) {
  return v == TpmVersion::k20 ? kTpmRcFailure : kTpmFail;
}
// The command may have been executed or not.
inline TpmResult canceled_code(TpmVersion v) {
  return v == TpmVersion::k20 ? kTpmRcCanceled : kTpmFail;
}
// The command was not executed, because what it changes could not be stored.
inline TpmResult storage_code(TpmVersion v) {
  return v == TpmVersion::k20 ? kTpmRcNvUnavailable : kTpmFail;
}
inline TpmResult locality_code(TpmVersion v) {
  return v == TpmVersion::k20 ? kTpmRcLocality : kTpmBadLocality;
}
inline TpmResult insufficient_code(TpmVersion v) {
  return v == TpmVersion::k20 ? kTpmRcInsufficient : kTpmBadParamSize;
}
inline TpmResult command_size_code(TpmVersion v) {
  return v == TpmVersion::k20 ? kTpmRcCommandSize : kTpmBadParamSize;
}

}  // namespace swtpm
