#include "state/blob_crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <new>

#include "common/log.h"

namespace swtpm {
namespace {

constexpr size_t kHmacSizeBytes = 32;
constexpr size_t kAesBlockSizeBytes = 16;
constexpr size_t kMaxIvSizeBytes = 32;

template <auto free_function>
struct Free {
  template <typename T>
  void operator()(T* p) const {
    free_function(p);
  }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Free<EVP_CIPHER_CTX_free>>;
using Mac = std::unique_ptr<EVP_MAC, Free<EVP_MAC_free>>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, Free<EVP_MAC_CTX_free>>;

size_t page_size() {
  return static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// Takes whole blocks and returns as many bytes. The caller does the padding, which is not the usual one.
bool aes_cbc(const Key& key, const uint8_t* iv, bool encrypting, ByteView in, Bytes& out) {
  CipherContext context(EVP_CIPHER_CTX_new());
  const EVP_CIPHER* cipher = key.is_256_bit() ? EVP_aes_256_cbc() : EVP_aes_128_cbc();
  out.resize(in.size());
  int updated = 0;
  int finished = 0;
  return context && EVP_CipherInit_ex(context.get(), cipher, nullptr, key.data(), iv, encrypting) == 1 &&
         EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1 &&
         EVP_CipherUpdate(context.get(), out.data(), &updated, in.data(), static_cast<int>(in.size())) == 1 &&
         EVP_CipherFinal_ex(context.get(), out.data() + updated, &finished) == 1 &&
         static_cast<size_t>(updated + finished) == in.size();
}

bool hmac_sha256(const Key& key, ByteView ciphertext, ByteView iv, std::array<uint8_t, kHmacSizeBytes>& out) {
  Mac mac(EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_HMAC, nullptr));
  MacContext context(mac ? EVP_MAC_CTX_new(mac.get()) : nullptr);
  char digest[] = "SHA256";
  OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                         OSSL_PARAM_construct_end()};
  size_t length = 0;
  return context && EVP_MAC_init(context.get(), key.data(), key.size(), params) == 1 &&
         EVP_MAC_update(context.get(), ciphertext.data(), ciphertext.size()) == 1 &&
         (iv.empty() || EVP_MAC_update(context.get(), iv.data(), iv.size()) == 1) &&
         EVP_MAC_final(context.get(), out.data(), &length, out.size()) == 1 && length == out.size();
}

// Decrypts and removes the padding; false if there is no valid padding.
bool decrypt_and_unpad(const Key& key, const uint8_t* iv, ByteView ciphertext, Bytes& plain) {
  if (ciphertext.size() < key.size() || ciphertext.size() % kAesBlockSizeBytes != 0) return false;
  if (!aes_cbc(key, iv, false, ciphertext, plain)) return false;
  uint8_t padding = plain.back();
  if (padding == 0 || padding > key.size() || padding > plain.size()) return false;
  for (size_t i = plain.size() - padding; i < plain.size(); i++)
    if (plain[i] != padding) return false;
  plain.resize(plain.size() - padding);
  return true;
}

TpmResult wrong_key(const char* what) {
  log(LogLevel::kError, "Cannot decrypt state \"%s\": wrong key, or the state was changed", what);
  return kTpmDecryptError;
}

TpmResult decrypt_version_1(const Key& key, ByteView payload, const char* what, Bytes& plain) {
  const uint8_t zero_iv[kMaxIvSizeBytes] = {};
  Bytes hashed;
  if (!decrypt_and_unpad(key, zero_iv, payload, hashed) || hashed.size() < SHA256_DIGEST_LENGTH)
    return wrong_key(what);
  uint8_t digest[SHA256_DIGEST_LENGTH];
  ByteView data = ByteView(hashed).subspan(SHA256_DIGEST_LENGTH);
  SHA256(data.data(), data.size(), digest);
  if (CRYPTO_memcmp(digest, hashed.data(), sizeof(digest)) != 0) return wrong_key(what);
  plain.assign(data.begin(), data.end());
  return kTpmSuccess;
}

}  // namespace

bool Key::set(ByteView key) {
  if (key.size() != 16 && key.size() != 32) return false;
  OPENSSL_cleanse(bytes_, sizeof(bytes_));
  memcpy(bytes_, key.data(), key.size());
  size_ = key.size();
  return true;
}

Keys::Keys() {
  void* page = mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) {
    page_ = new Key[2];
    return;
  }
  // Both may be refused (RLIMIT_MEMLOCK, old kernels); the keys are then in ordinary memory.
  mlock(page, page_size());
  madvise(page, page_size(), MADV_DONTDUMP);
  page_ = new (page) Key[2];
}

Keys::~Keys() {
  wipe();
}

void Keys::wipe() {
  OPENSSL_cleanse(page_, 2 * sizeof(Key));
}

TpmResult encrypt(const Key& key, ByteView plain, const Envelope& envelope, Bytes& payload, uint16_t& flags) {
  uint8_t iv[kMaxIvSizeBytes];
  ByteView whole_iv(iv, key.size());
  size_t padding = key.size() - plain.size() % key.size();
  Bytes padded(plain.begin(), plain.end());
  padded.insert(padded.end(), padding, static_cast<uint8_t>(padding));
  Bytes ciphertext;
  std::array<uint8_t, kHmacSizeBytes> hmac;
  if (RAND_bytes(iv, static_cast<int>(key.size())) != 1 || !aes_cbc(key, iv, true, padded, ciphertext) ||
      !hmac_sha256(key, ciphertext, whole_iv, hmac)) {
    log(LogLevel::kError, "Cannot encrypt %zu bytes of state: OpenSSL failed", plain.size());
    return kTpmEncryptError;
  }
  append_field(payload, envelope.data_tag, ciphertext);
  append_field(payload, BlobTag::kHmac, hmac);
  append_field(payload, envelope.iv_tag, whole_iv);
  flags |= envelope.encrypted_flag;
  if (key.is_256_bit()) flags |= envelope.key_256_flag;
  return kTpmSuccess;
}

TpmResult decrypt(const Key& key, ByteView payload, const BlobHeader& header, const Envelope& envelope,
                  const char* what, Bytes& plain) {
  if (header.version == 1) return decrypt_version_1(key, payload, what, plain);

  bool needs_256_bit = (header.flags & envelope.key_256_flag) != 0;
  if (needs_256_bit != key.is_256_bit()) {
    log(LogLevel::kError, "Cannot decrypt state \"%s\": it needs a %d bit key, the given one has %zu", what,
        needs_256_bit ? 256 : 128, key.size() * 8);
    return kTpmBadKeyProperty;
  }
  auto ciphertext = find_field(payload, envelope.data_tag);
  auto hmac = find_field(payload, BlobTag::kHmac);
  auto iv = find_field(payload, envelope.iv_tag);
  if (!ciphertext || !hmac || hmac->size() != kHmacSizeBytes) {
    log(LogLevel::kError, "Cannot decrypt state \"%s\": its ciphertext or its HMAC is missing", what);
    return kTpmFail;
  }
  std::array<uint8_t, kHmacSizeBytes> expected;
  if (!hmac_sha256(key, *ciphertext, iv.value_or(ByteView{}), expected) ||
      CRYPTO_memcmp(expected.data(), hmac->data(), kHmacSizeBytes) != 0)
    return wrong_key(what);
  if (iv && iv->size() != key.size()) return wrong_key(what);

  const uint8_t zero_iv[kMaxIvSizeBytes] = {};
  if (!decrypt_and_unpad(key, iv ? iv->data() : zero_iv, *ciphertext, plain)) return wrong_key(what);
  return kTpmSuccess;
}

TpmResult read_plain(ByteView payload, uint8_t version, BlobTag tag, const char* what, Bytes& plain) {
  std::optional<ByteView> data = version == 1 ? payload : find_field(payload, tag);
  if (!data) {
    log(LogLevel::kError, "Cannot use state \"%s\": its data field is missing", what);
    return kTpmFail;
  }
  plain.assign(data->begin(), data->end());
  return kTpmSuccess;
}

}  // namespace swtpm
