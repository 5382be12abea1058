// AES_encrypt() with the processor's AES instructions, in place of libcrypto's. Why, and what makes it safe:
// README.md in this folder. The key schedule remains libcrypto's.
#if defined(__x86_64__)

#define OPENSSL_SUPPRESS_DEPRECATED
#include <immintrin.h>
#include <openssl/aes.h>
#include <stdint.h>
#include <string.h>

#include <initializer_list>

#include "engine/libcrypto/library_function.h"

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

// Whether encrypt() gives the same results as libcrypto's function for each key length. It does not where the
// processor lacks the instructions, or where a libcrypto keeps its key schedule in another form.
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
  auto* library = swtpm::library_function<Encrypt>("AES_encrypt");
  return agrees_with(library) ? encrypt : library;
}

// Set before main(). Nothing encrypts earlier: the constructors of libtpms and libcrypto do not.
Encrypt* const g_encrypt = choose();

}  // namespace

extern "C" void AES_encrypt(const unsigned char* in, unsigned char* out, const AES_KEY* key) {
  g_encrypt(in, out, key);
}

#endif
