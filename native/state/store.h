// What a place for state blobs must do. A store keeps whole blobs under three names and knows nothing of
// their contents; headers, encryption and the rule when to store at all are nv_state's.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/tpm_result.h"

namespace swtpm {

// The numbers are those of PTM_BLOB_TYPE_* (swtpm_ioctls(3)).
enum class BlobType : uint32_t { kPermanent = 1, kVolatile = 2, kSavestate = 3 };

inline constexpr BlobType kAllBlobTypes[] = {BlobType::kPermanent, BlobType::kVolatile, BlobType::kSavestate};

// The name under which libtpms stores the blob; it is part of the file name, too.
inline const char* blob_name(BlobType type) {
  switch (type) {
    case BlobType::kPermanent:
      return "permall";
    case BlobType::kVolatile:
      return "volatilestate";
    case BlobType::kSavestate:
      return "savestate";
  }
  return "";
}

inline std::optional<BlobType> blob_type(uint32_t number) {
  if (number < 1 || number > 3) return std::nullopt;
  return static_cast<BlobType>(number);
}

inline std::optional<BlobType> blob_type(std::string_view name) {
  for (BlobType type : kAllBlobTypes)
    if (name == blob_name(type)) return type;
  return std::nullopt;
}

class Store {
 public:
  virtual ~Store() = default;

  // Reads a whole blob. kTpmRetry: there is none. kTpmFail: it is there but cannot be read (logged).
  virtual TpmResult load(BlobType type, Bytes& out) = 0;

  // Replaces a blob. On success the new content is durable; on kTpmFail the old content is still in place
  // (logged).
  virtual TpmResult store(BlobType type, ByteView data) = 0;

  // Removes a blob. A missing one is an error only if must_exist.
  virtual TpmResult erase(BlobType type, bool must_exist) = 0;

  // The stored size without reading the blob. kTpmRetry: there is none.
  virtual TpmResult peek(BlobType type, uint32_t& size_bytes) = 0;

  // How log lines name the place of this blob.
  virtual std::string describe(BlobType type) const = 0;

  // What is stored is ours alone from now on. Puts in order what another process has left when it was killed.
  virtual TpmResult acquire() { return kTpmSuccess; }

  // Leaves what is stored as any other program expects it. kTpmFail: it is complete, but only for programs
  // like this one (logged).
  virtual TpmResult rest() { return kTpmSuccess; }

  // When rest() should be called if nothing is stored until then. Nothing: no need.
  virtual std::optional<std::chrono::steady_clock::time_point> rest_due() const { return std::nullopt; }

  // As rest(), and in any case takes nothing for granted until the next acquire(): another process may own
  // what is stored.
  virtual TpmResult release() { return kTpmSuccess; }

  // After a failed start: exchanges the permanent blob and its backup, so that a second call undoes the
  // first. kTpmRetry: there is no backup (or the store keeps none).
  virtual TpmResult swap_backup() { return kTpmRetry; }
};

}  // namespace swtpm
