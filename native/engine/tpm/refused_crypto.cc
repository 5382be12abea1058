#include "engine/tpm/refused_crypto.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include <memory>

#include "generated/contract.h"

namespace swtpm {
namespace {

bool g_left_fips_mode = false;

constexpr unsigned kUsualBits = 2048;
constexpr unsigned kSmallBits = 1024;

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
  void operator()(EVP_CIPHER* cipher) const { EVP_CIPHER_free(cipher); }
  void operator()(EVP_MD* digest) const { EVP_MD_free(digest); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Context = std::unique_ptr<EVP_PKEY_CTX, Free>;

Key make_key(unsigned bits) {
  Context context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* key = nullptr;
  if (context && EVP_PKEY_keygen_init(context.get()) > 0 &&
      EVP_PKEY_CTX_set_rsa_keygen_bits(context.get(), static_cast<int>(bits)) > 0)
    EVP_PKEY_keygen(context.get(), &key);
  return Key(key);
}

Context use(const Key& key) {
  return Context(key ? EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr) : nullptr);
}

bool has_cipher(const char* name) {
  return std::unique_ptr<EVP_CIPHER, Free>(EVP_CIPHER_fetch(nullptr, name, nullptr)) != nullptr;
}

// With the padding of PSS: one that libtpms uses, and no host is stricter about it than about PKCS#1.
bool set_signature(EVP_PKEY_CTX* context, const EVP_MD* digest) {
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0 &&
         EVP_PKEY_CTX_set_signature_md(context, digest) > 0;
}

bool can_sign(const Key& key, const EVP_MD* digest) {
  uint8_t hash[EVP_MAX_MD_SIZE] = {};
  uint8_t signature[kUsualBits / 8];
  size_t size = sizeof(signature);
  Context context = use(key);
  return context && EVP_PKEY_sign_init(context.get()) > 0 && set_signature(context.get(), digest) &&
         EVP_PKEY_sign(context.get(), signature, &size, hash, static_cast<size_t>(EVP_MD_get_size(digest))) >
             0;
}

// A host that refuses a digest does so before it looks at a signature.
bool can_verify(const Key& key, const EVP_MD* digest) {
  Context context = use(key);
  return context && EVP_PKEY_verify_init(context.get()) > 0 && set_signature(context.get(), digest);
}

bool can_encrypt(const Key& key, int padding) {
  // Zero is less than any modulus. Without padding it has to be as long as the key.
  uint8_t text[kUsualBits / 8] = {};
  uint8_t encrypted[kUsualBits / 8];
  size_t size = sizeof(encrypted);
  Context context = use(key);
  return context && EVP_PKEY_encrypt_init(context.get()) > 0 &&
         EVP_PKEY_CTX_set_rsa_padding(context.get(), padding) > 0 &&
         EVP_PKEY_encrypt(context.get(), encrypted, &size, text,
                          padding == RSA_NO_PADDING ? sizeof(text) : 1) > 0;
}

bool can_hmac(const EVP_MD* digest) {
  uint8_t mac[EVP_MAX_MD_SIZE];
  unsigned size = sizeof(mac);
  return HMAC(digest, "", 0, mac, 1, mac, &size) != nullptr;
}

}  // namespace

void leave_fips_mode() {
  g_left_fips_mode = EVP_default_properties_is_fips_enabled(nullptr);
  if (g_left_fips_mode) EVP_default_properties_enable_fips(nullptr, 0);
}

uint32_t refused_crypto() {
  if (g_left_fips_mode) EVP_default_properties_enable_fips(nullptr, 1);
  Key usual = make_key(kUsualBits);
  uint32_t refused = 0;
  auto note = [&refused](bool possible, uint32_t bit) {
    if (!possible) refused |= bit;
  };
  note(has_cipher("CAMELLIA-128-CFB") && has_cipher("CAMELLIA-256-CFB"), wire::kRefusedCamellia);
  note(has_cipher("DES-EDE3-CFB"), wire::kRefusedTdes);
  note(can_encrypt(usual, RSA_PKCS1_PADDING), wire::kRefusedRsaes);
  note(can_sign(make_key(kSmallBits), EVP_sha256()), wire::kRefusedSmallKeys);
  note(can_sign(usual, EVP_sha1()), wire::kRefusedSha1Signing);
  note(can_verify(usual, EVP_sha1()), wire::kRefusedSha1Verification);
  note(can_encrypt(usual, RSA_NO_PADDING), wire::kRefusedUnpaddedEncryption);
  note(can_hmac(EVP_sha1()), wire::kRefusedSha1Hmac);
  if (g_left_fips_mode) EVP_default_properties_enable_fips(nullptr, 0);
  ERR_clear_error();
  return refused;
}

}  // namespace swtpm
