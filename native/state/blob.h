// The container format of state blobs: a 10-byte header and tag-length-value fields, big-endian, as swtpm
// writes them.
//
//   0         1             2             4       6              10
//   +---------+-------------+-------------+-------+--------------+----------------------------+
//   | version | min version | header size | flags | total length | version 2: TLV fields …    |
//   |    2    |      1      |     10      |       |  with header | version 1: the bare payload |
//   +---------+-------------+-------------+-------+--------------+----------------------------+
//
// Layout only. stored_state and state_blob decide what is encrypted with which key.
#pragma once

#include <optional>

#include "common/bytes.h"
#include "common/tpm_result.h"
#include "generated/contract.h"

namespace swtpm {

inline constexpr size_t kBlobHeaderSizeBytes = wire::kBlobHeaderBytes;
using wire::BlobTag;
using wire::kBlobVersion;

// What each means: contract/state-format.ts.
enum BlobFlags : uint16_t {
  kBlobEncrypted = wire::kBlobEncrypted,
  kBlobMigrationEncrypted = wire::kBlobMigrationEncrypted,
  kBlobMigrationData = wire::kBlobMigrationData,
  kBlobFileKey256 = wire::kBlobFileKey256,
  kBlobMigrationKey256 = wire::kBlobMigrationKey256,
};

struct BlobHeader {
  uint8_t version = 0;
  uint16_t flags = 0;
};

// Checks every field of the header. `what` names the blob in the log.
// kTpmBadParameter: too short or wrong total length; kTpmBadVersion; kTpmBadDatasize: wrong header size;
// kTpmFail: flags that contradict each other.
TpmResult parse_blob_header(ByteView blob, const char* what, BlobHeader& out);

// Header in front of payload.
Bytes make_blob(uint16_t flags, ByteView payload);

// The value of the field with this tag. Nothing if there is none, or if the fields do not end where the
// payload ends.
std::optional<ByteView> find_field(ByteView payload, BlobTag tag);

// A blob is marked as outdated while a journal holds newer states. The mark is a minimum version that no
// reader knows, so a program without journals refuses the blob instead of using an old state.
void mark_outdated(Bytes& blob);
void unmark_outdated(Bytes& blob);
bool is_marked_outdated(ByteView blob);

void append_field(Bytes& payload, BlobTag tag, ByteView value);

}  // namespace swtpm
