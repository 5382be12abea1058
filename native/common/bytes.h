// Byte buffers and big-endian numbers, the byte order of TPM commands, of the control channel, of the engine
// channel and of state blobs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace swtpm {

using Bytes = std::vector<uint8_t>;
using ByteView = std::span<const uint8_t>;

inline uint16_t load_be16(const uint8_t* p) {
  return static_cast<uint16_t>(p[0] << 8 | p[1]);
}
inline uint32_t load_be32(const uint8_t* p) {
  return static_cast<uint32_t>(p[0]) << 24 | static_cast<uint32_t>(p[1]) << 16 |
         static_cast<uint32_t>(p[2]) << 8 | p[3];
}
inline uint64_t load_be64(const uint8_t* p) {
  return uint64_t{load_be32(p)} << 32 | load_be32(p + 4);
}
inline void store_be16(uint8_t* p, uint16_t v) {
  p[0] = static_cast<uint8_t>(v >> 8);
  p[1] = static_cast<uint8_t>(v);
}
inline void store_be32(uint8_t* p, uint32_t v) {
  store_be16(p, static_cast<uint16_t>(v >> 16));
  store_be16(p + 2, static_cast<uint16_t>(v));
}

inline void store_be64(uint8_t* p, uint64_t v) {
  store_be32(p, static_cast<uint32_t>(v >> 32));
  store_be32(p + 4, static_cast<uint32_t>(v));
}

// Reads fields from the front of a view. A read past the end sets failed() and yields 0; check
// failed() once, at the end.
class ByteReader {
 public:
  explicit ByteReader(ByteView data) : data_(data) {}

  uint8_t u8() { return take(1) ? data_[pos_ - 1] : 0; }
  uint16_t u16() { return take(2) ? load_be16(&data_[pos_ - 2]) : 0; }
  uint32_t u32() { return take(4) ? load_be32(&data_[pos_ - 4]) : 0; }
  uint64_t u64() { return take(8) ? load_be64(&data_[pos_ - 8]) : 0; }
  ByteView bytes(size_t n) { return take(n) ? data_.subspan(pos_ - n, n) : ByteView{}; }
  void skip(size_t n) { take(n); }
  size_t remaining() const { return data_.size() - pos_; }
  bool failed() const { return failed_; }

 private:
  bool take(size_t n) {
    if (failed_ || n > remaining()) {
      failed_ = true;
      return false;
    }
    pos_ += n;
    return true;
  }

  ByteView data_;
  size_t pos_ = 0;
  bool failed_ = false;
};

class ByteWriter {
 public:
  explicit ByteWriter(size_t expected_bytes = 0) { out_.reserve(expected_bytes); }

  ByteWriter& u8(uint8_t v) {
    out_.push_back(v);
    return *this;
  }
  ByteWriter& u16(uint16_t v) {
    uint8_t raw[2];
    store_be16(raw, v);
    return bytes(raw);
  }
  ByteWriter& u32(uint32_t v) {
    uint8_t raw[4];
    store_be32(raw, v);
    return bytes(raw);
  }
  ByteWriter& bytes(ByteView v) {
    out_.insert(out_.end(), v.begin(), v.end());
    return *this;
  }
  ByteWriter& text(std::string_view v) {
    out_.insert(out_.end(), v.begin(), v.end());
    return *this;
  }
  Bytes take() { return std::move(out_); }

 private:
  Bytes out_;
};

}  // namespace swtpm
