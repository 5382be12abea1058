// The functions of libcrypto by which libtpms searches for primes, with an end when the command is cancelled:
// README.md in this folder.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <memory>

#include "engine/libcrypto/library_function.h"
#include "engine/libcrypto/prime_search.h"

namespace {

using swtpm::prime_search::cut_short;

using ModExp = int(BIGNUM*, const BIGNUM*, const BIGNUM*, const BIGNUM*, BN_CTX*);
using GenerateKey = int(RSA*, int, BIGNUM*, BN_GENCB*);
using Generate = int(EVP_PKEY_CTX*, EVP_PKEY**);
ModExp* const g_mod_exp = swtpm::library_function<ModExp>("BN_mod_exp");
GenerateKey* const g_generate_key = swtpm::library_function<GenerateKey>("RSA_generate_key_ex");
Generate* const g_generate = swtpm::library_function<Generate>("EVP_PKEY_generate");

using Callback = std::unique_ptr<BN_GENCB, decltype(&BN_GENCB_free)>;

}  // namespace

// For keys made of a seed, libtpms tests numbers with it, after Miller and Rabin. 1 means for every base:
// perhaps a prime.
extern "C" int BN_mod_exp(BIGNUM* result, const BIGNUM* base, const BIGNUM* exponent, const BIGNUM* modulus,
                          BN_CTX* context) {
  return cut_short() ? BN_one(result) : g_mod_exp(result, base, exponent, modulus, context);
}

// Keys made of no seed are libcrypto's work as a whole. It asks a callback whether to go on, and libtpms
// gives it none. libtpms 0.9 calls this function, 0.10 the next one.
extern "C" int RSA_generate_key_ex(RSA* key, int bits, BIGNUM* exponent, BN_GENCB* callback) {
  Callback ours(callback ? nullptr : BN_GENCB_new(), BN_GENCB_free);
  if (ours)
    BN_GENCB_set(
        ours.get(), [](int, int, BN_GENCB*) { return cut_short() ? 0 : 1; }, nullptr);
  return g_generate_key(key, bits, exponent, ours ? ours.get() : callback);
}

extern "C" int EVP_PKEY_generate(EVP_PKEY_CTX* context, EVP_PKEY** key) {
  if (context && !EVP_PKEY_CTX_get_cb(context))
    EVP_PKEY_CTX_set_cb(context, [](EVP_PKEY_CTX*) { return cut_short() ? 0 : 1; });
  return g_generate(context, key);
}
