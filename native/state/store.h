// What a backend for state blobs must do. A store keeps whole blobs under three names and knows nothing of
// their contents. Headers, encryption and the decision whether to store at all belong to nv_state.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/tpm_result.h"
#include "generated/contract.h"

namespace swtpm {

// The name under which libtpms stores the blob; it is part of the file name, too.
inline const char* blob_name(BlobType type) {
  for (const auto& [name, value] : kBlobTypes)
    if (value == type) return name.data();  // of a literal, so it ends with a NUL
  return "";
}

inline std::optional<BlobType> blob_type(uint32_t number) {
  for (const auto& [name, value] : kBlobTypes)
    if (static_cast<uint32_t>(value) == number) return value;
  return std::nullopt;
}

inline std::optional<BlobType> blob_type(std::string_view wanted) {
  for (const auto& [name, value] : kBlobTypes)
    if (name == wanted) return value;
  return std::nullopt;
}

class Store {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

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

  // How the user gets rid of a volatile state that cannot be used.
  virtual std::string how_to_discard_volatile() const = 0;

  // The storage is locked from now on: no other process changes it. Completes what a process that was killed
  // has left unfinished.
  virtual TpmResult acquire() { return kTpmSuccess; }

  // Ends the journal, if there is one, so that any other program can use what is stored. kTpmFail: the
  // journal is still needed to read the state, which is complete (logged).
  virtual TpmResult end_journal() { return kTpmSuccess; }

  // When end_journal() should be called if nothing is stored until then. Without a value there is no journal.
  virtual std::optional<TimePoint> journal_end_due() const { return std::nullopt; }

  // The storage is no longer locked: end_journal(), and, whatever its result, forget all that is known of the
  // stored files. Another process may change them before the next acquire().
  virtual TpmResult release() { return kTpmSuccess; }

  // After a failed start: exchanges the permanent blob and its backup, so that a second call undoes the
  // first. kTpmRetry: there is no backup (or the store keeps none).
  virtual TpmResult swap_backup() { return kTpmRetry; }
};

}  // namespace swtpm
