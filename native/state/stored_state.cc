#include "state/stored_state.h"

#include "common/log.h"
#include "state/blob.h"

namespace swtpm {

TpmResult read_stored_state(const Key& key, ByteView blob, const char* what, Bytes& plain) {
  BlobHeader header;
  if (TpmResult result = parse_blob_header(blob, what, header)) return result;
  ByteView payload = blob.subspan(kBlobHeaderSizeBytes);

  if (header.flags & ~(kBlobEncrypted | kBlobFileKey256)) {
    log(LogLevel::kError, "Cannot use state \"%s\": its flags 0x%x are not those of a stored state", what,
        header.flags);
    return kTpmFail;
  }
  // Version 1 had no such flag in stored state: there the key alone decides.
  bool encrypted = header.version == 1 ? key.present() : (header.flags & kBlobEncrypted) != 0;
  if (encrypted && !key.present()) {
    log(LogLevel::kError,
        "Cannot use state \"%s\": it is encrypted, and no key was given; give it with --key", what);
    return kTpmFail;
  }
  if (!encrypted && key.present()) {
    log(LogLevel::kError,
        "Cannot use state \"%s\": a key was given, but the state is not encrypted; leave --key out", what);
    return kTpmFail;
  }
  if (!encrypted) return read_plain(payload, header.version, BlobTag::kData, what, plain);
  return decrypt(key, payload, header, Envelope::file(), what, plain);
}

TpmResult make_stored_state(const Key& key, ByteView plain, Bytes& blob) {
  Bytes payload;
  uint16_t flags = 0;
  if (key.present()) {
    if (TpmResult result = encrypt(key, plain, Envelope::file(), payload, flags)) return result;
  } else {
    append_field(payload, BlobTag::kData, plain);
  }
  blob = make_blob(flags, payload);
  return kTpmSuccess;
}

}  // namespace swtpm
