#include "state/state_blob.h"

#include "common/log.h"
#include "state/blob.h"

namespace swtpm {

TpmResult wrap_state_blob(const Keys& keys, ByteView plain, bool decrypted, Bytes& out, bool& is_encrypted) {
  Bytes inner;
  uint16_t flags = kBlobMigrationData;
  is_encrypted = !decrypted && keys.file().present();
  if (is_encrypted) {
    if (TpmResult result = encrypt(keys.file(), plain, Envelope::file(), inner, flags)) return result;
  } else {
    append_field(inner, BlobTag::kData, plain);
  }
  Bytes outer;
  if (keys.migration().present()) {
    if (TpmResult result = encrypt(keys.migration(), inner, Envelope::migration(), outer, flags))
      return result;
  } else {
    append_field(outer, BlobTag::kMigrationData, inner);
  }
  out = make_blob(flags, outer);
  return kTpmSuccess;
}

TpmResult unwrap_state_blob(const Keys& keys, ByteView blob, const char* what, bool marked_encrypted,
                            Bytes& plain) {
  plain.clear();
  if (blob.empty()) return kTpmSuccess;
  BlobHeader header;
  if (TpmResult result = parse_blob_header(blob, what, header)) return result;
  ByteView payload = blob.subspan(kBlobHeaderSizeBytes);
  if (payload.empty()) return kTpmSuccess;
  // Nothing below depends on these flags, so damage to them would go unnoticed.
  bool is_marked =
      (header.flags & kBlobMigrationData) && (!marked_encrypted || (header.flags & kBlobEncrypted));
  if (header.version > 1 && !is_marked) {
    log(LogLevel::kError, "Cannot use state \"%s\": its flags 0x%x are not those of its contents", what,
        header.flags);
    return kTpmFail;
  }

  // With a migration key, an unencrypted blob is accepted as well: this is how a TPM without keys gets them.
  Bytes inner;
  TpmResult result;
  if (header.flags & kBlobMigrationEncrypted) {
    if (!keys.migration().present()) {
      log(LogLevel::kError, "Cannot decrypt state \"%s\": no migration key was given", what);
      return kTpmKeyNotFound;
    }
    result = decrypt(keys.migration(), payload, header, Envelope::migration(), what, inner);
  } else {
    result = read_plain(payload, header.version, BlobTag::kMigrationData, what, inner);
  }
  if (result) return result;

  if (!marked_encrypted && !(header.flags & kBlobEncrypted))
    return read_plain(inner, header.version, BlobTag::kData, what, plain);
  if (!keys.file().present()) {
    log(LogLevel::kError, "Cannot decrypt state \"%s\": no state key was given", what);
    return kTpmKeyNotFound;
  }
  return decrypt(keys.file(), inner, header, Envelope::file(), what, plain);
}

}  // namespace swtpm
