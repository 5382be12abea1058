// Keys, and the encryption of state: AES-CBC, then HMAC-SHA-256 of the ciphertext with the same key, in the
// format of swtpm's files. Three properties of that format are unusual:
//  - the padding fills up to a multiple of the *key* size (up to 32 bytes with AES-256), and each byte of
//    it is its length;
//  - the IV field is as long as the key; AES uses its first 16 bytes, the HMAC covers all of it;
//  - a blob without an IV field has a zero IV, and its HMAC covers the ciphertext alone.
// Version-1 blobs are CBC with a zero IV over SHA-256(data) ‖ data, without fields and without a MAC.
#pragma once

#include <cstddef>

#include "common/bytes.h"
#include "common/tpm_result.h"
#include "state/blob.h"

namespace swtpm {

class Key {
 public:
  bool set(ByteView key);  // false: not 16 or 32 bytes
  bool present() const { return size_ > 0; }
  size_t size() const { return size_; }
  bool is_256_bit() const { return size_ == 32; }
  const uint8_t* data() const { return bytes_; }

 private:
  uint8_t bytes_[32] = {};
  size_t size_ = 0;
};

// Both keys, on a page of their own. As far as the system allows, the page is neither swapped out nor dumped;
// it is wiped at the end.
class Keys {
 public:
  Keys();
  ~Keys();
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;
  void wipe();

  Key& file() { return page_[0]; }
  Key& migration() { return page_[1]; }
  const Key& file() const { return page_[0]; }
  const Key& migration() const { return page_[1]; }

 private:
  Key* page_;
};

// Which fields and flags belong to one layer of encryption.
struct Envelope {
  BlobTag data_tag;
  BlobTag iv_tag;
  uint16_t encrypted_flag;
  uint16_t key_256_flag;

  static Envelope file() {
    return {BlobTag::kEncryptedData, BlobTag::kIvEncryptedData, kBlobEncrypted, kBlobFileKey256};
  }
  static Envelope migration() {
    return {BlobTag::kEncryptedMigrationData, BlobTag::kIvEncryptedMigrationData, kBlobMigrationEncrypted,
            kBlobMigrationKey256};
  }
};

// Appends the fields ciphertext, HMAC, IV, in the order that swtpm writes, and adds the flags.
TpmResult encrypt(const Key& key, ByteView plain, const Envelope& envelope, Bytes& payload, uint16_t& flags);

// kTpmBadKeyProperty: the key has the wrong size. kTpmDecryptError: wrong key, or the blob was changed.
// kTpmFail: a field is missing. All are logged with the name `what`.
TpmResult decrypt(const Key& key, ByteView payload, const BlobHeader& header, const Envelope& envelope,
                  const char* what, Bytes& plain);

// For unencrypted state: the field with this tag, or in version 1 the whole payload.
TpmResult read_plain(ByteView payload, uint8_t version, BlobTag tag, const char* what, Bytes& plain);

}  // namespace swtpm
