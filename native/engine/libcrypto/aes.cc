// AES_encrypt() in the place of libcrypto's, with the processor's AES instructions. libtpms encrypts single
// blocks with it, four for each TPM2_GetRandom and many for each key; libcrypto has the instructions behind
// EVP only, and its AES_encrypt() looks up tables instead: 1,900 machine instructions a block, at places in
// memory that depend on the key. The key schedule remains libcrypto's.
#if defined(__x86_64__)

#define OPENSSL_SUPPRESS_DEPRECATED
#include <dlfcn.h>
#include <immintrin.h>
#include <openssl/aes.h>
#include <stdint.h>
#include <string.h>

#include <initializer_list>

namespace {

using Encrypt = void(const unsigned char*, unsigned char*, const AES_KEY*);

[[gnu::target("aes")]] void encrypt(const unsigned char* in, unsigned char* out, const AES_KEY* key) {
  const auto* round_keys = reinterpret_cast<const __m128i*>(key->rd_key);
  __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in));
  block = _mm_xor_si128(block, _mm_loadu_si128(round_keys));
  for (int round = 1; round < key->rounds; round++)
    block = _mm_aesenc_si128(block, _mm_loadu_si128(round_keys + round));
  block = _mm_aesenclast_si128(block, _mm_loadu_si128(round_keys + key->rounds));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), block);
}

// The processor may lack the instructions, and a libcrypto may keep its key schedule in another form.
bool agrees_with(Encrypt* library) {
  if (!__builtin_cpu_supports("aes")) return false;
  uint8_t key_bytes[32], plain[AES_BLOCK_SIZE];
  for (size_t i = 0; i < sizeof(key_bytes); i++) key_bytes[i] = static_cast<uint8_t>(37 * i + 11);
  for (size_t i = 0; i < sizeof(plain); i++) plain[i] = static_cast<uint8_t>(59 * i + 5);
  for (int bits : {128, 192, 256}) {
    AES_KEY key;
    uint8_t expected[AES_BLOCK_SIZE], found[AES_BLOCK_SIZE];
    if (AES_set_encrypt_key(key_bytes, bits, &key) != 0) return false;
    library(plain, expected, &key);
    encrypt(plain, found, &key);
    if (memcmp(expected, found, sizeof(found)) != 0) return false;
  }
  return true;
}

Encrypt* choose() {
  auto* library = reinterpret_cast<Encrypt*>(dlsym(RTLD_NEXT, "AES_encrypt"));
  return agrees_with(library) ? encrypt : library;
}

Encrypt* const g_encrypt = choose();

}  // namespace

// libtpms's calls come here, because the program is searched before its libraries.
extern "C" void AES_encrypt(const unsigned char* in, unsigned char* out, const AES_KEY* key) {
  g_encrypt(in, out, key);
}

#endif
