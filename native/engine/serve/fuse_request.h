// What comes from a FUSE device.
#pragma once

#include <linux/fuse.h>

#include <cstring>
#include <span>

#include "common/bytes.h"

namespace swtpm {

// A structure at the start of `body`. False: it does not fit.
template <typename T>
bool decode(std::span<const uint8_t> body, T& out) {
  if (body.size() < sizeof(T)) return false;
  memcpy(&out, body.data(), sizeof(T));
  return true;
}

template <typename T>
ByteView bytes_of(const T& value) {
  return {reinterpret_cast<const uint8_t*>(&value), sizeof(T)};
}

// Reads one request. 1: `raw` is all of it, in `buffer`; 0: there is none that could be used; -errno: no more
// will come. Where the descriptor does not block, it waits until there is something.
int read_fuse_request(int device, std::span<uint8_t> buffer, std::span<uint8_t>& raw, fuse_in_header& header);

}  // namespace swtpm
