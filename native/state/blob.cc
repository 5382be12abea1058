#include "state/blob.h"

#include "common/log.h"

namespace swtpm {
namespace {

constexpr size_t kFieldHeaderSizeBytes = 6;
constexpr size_t kMinVersionAt = 1;
constexpr uint8_t kMinVersion = wire::kBlobMinVersion;
constexpr uint8_t kMinVersionOfOutdated = kBlobVersion + 1;
constexpr uint16_t kKnownFlags =
    kBlobEncrypted | kBlobMigrationEncrypted | kBlobMigrationData | kBlobFileKey256 | kBlobMigrationKey256;

}  // namespace

// The HMAC does not cover the header, so only this check finds a flipped bit: accept nothing that no writer
// writes.
TpmResult parse_blob_header(ByteView blob, const char* what, BlobHeader& out) {
  if (blob.size() < kBlobHeaderSizeBytes) {
    log(LogLevel::kError, "Cannot use state \"%s\": %zu bytes are too few for its header", what, blob.size());
    return kTpmBadParameter;
  }
  ByteReader reader(blob);
  out.version = reader.u8();
  uint8_t min_version = reader.u8();
  uint16_t header_size = reader.u16();
  out.flags = reader.u16();
  uint32_t total_length = reader.u32();

  if (total_length != blob.size()) {
    log(LogLevel::kError, "Cannot use state \"%s\": its header says %u bytes, there are %zu", what,
        total_length, blob.size());
    return kTpmBadParameter;
  }
  if (out.version < 1 || out.version > kBlobVersion || min_version < 1 || min_version > out.version) {
    log(LogLevel::kError, "Cannot use state \"%s\": its version %u (readable from %u on) is not supported",
        what, out.version, min_version);
    return kTpmBadVersion;
  }
  if (header_size != kBlobHeaderSizeBytes) {
    log(LogLevel::kError, "Cannot use state \"%s\": its header size is %u instead of %zu", what, header_size,
        kBlobHeaderSizeBytes);
    return kTpmBadDatasize;
  }
  bool size_without_key = ((out.flags & kBlobFileKey256) && !(out.flags & kBlobEncrypted)) ||
                          ((out.flags & kBlobMigrationKey256) && !(out.flags & kBlobMigrationEncrypted));
  if ((out.flags & ~kKnownFlags) || size_without_key) {
    log(LogLevel::kError, "Cannot use state \"%s\": its flags 0x%x are damaged", what, out.flags);
    return kTpmFail;
  }
  return kTpmSuccess;
}

Bytes make_blob(uint16_t flags, ByteView payload) {
  ByteWriter writer(kBlobHeaderSizeBytes + payload.size());
  writer.u8(kBlobVersion).u8(kMinVersion).u16(kBlobHeaderSizeBytes).u16(flags);
  writer.u32(static_cast<uint32_t>(kBlobHeaderSizeBytes + payload.size())).bytes(payload);
  return writer.take();
}

void mark_outdated(Bytes& blob) {
  blob[kMinVersionAt] = kMinVersionOfOutdated;
}

void unmark_outdated(Bytes& blob) {
  blob[kMinVersionAt] = kMinVersion;
}

bool is_marked_outdated(ByteView blob) {
  return blob.size() >= kBlobHeaderSizeBytes && blob[0] == kBlobVersion &&
         blob[kMinVersionAt] == kMinVersionOfOutdated;
}

std::optional<ByteView> find_field(ByteView payload, BlobTag tag) {
  std::optional<ByteView> found;
  ByteReader reader(payload);
  while (reader.remaining() > 0) {
    uint16_t field_tag = reader.u16();
    ByteView value = reader.bytes(reader.u32());
    if (reader.failed()) return std::nullopt;
    // Unknown tags are skipped: they are how a later writer adds to the format.
    if (field_tag == static_cast<uint16_t>(tag) && !found) found = value;
  }
  return found;
}

void append_field(Bytes& payload, BlobTag tag, ByteView value) {
  uint8_t header[kFieldHeaderSizeBytes];
  store_be16(header, static_cast<uint16_t>(tag));
  store_be32(header + 2, static_cast<uint32_t>(value.size()));
  payload.reserve(payload.size() + sizeof(header) + value.size());
  payload.insert(payload.end(), header, header + sizeof(header));
  payload.insert(payload.end(), value.begin(), value.end());
}

}  // namespace swtpm
