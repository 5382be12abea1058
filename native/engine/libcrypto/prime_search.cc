#include "engine/libcrypto/prime_search.h"

#include <dlfcn.h>
#include <openssl/bn.h>
#include <openssl/rsa.h>

#include <atomic>
#include <memory>

#include "engine/tpm/message.h"

namespace swtpm::prime_search {
namespace {

enum class Search { kNone, kGoesOn, kCancelled, kCutShort };

// There is one TPM per process, and it does one command at a time.
std::atomic<Search> g_search{Search::kNone};

using ModExp = int(BIGNUM*, const BIGNUM*, const BIGNUM*, const BIGNUM*, BN_CTX*);
using Div = int(BIGNUM*, BIGNUM*, const BIGNUM*, const BIGNUM*, BN_CTX*);
using GenerateKey = int(RSA*, int, BIGNUM*, BN_GENCB*);
ModExp* const g_mod_exp = reinterpret_cast<ModExp*>(dlsym(RTLD_NEXT, "BN_mod_exp"));
Div* const g_div = reinterpret_cast<Div*>(dlsym(RTLD_NEXT, "BN_div"));
GenerateKey* const g_generate_key = reinterpret_cast<GenerateKey*>(dlsym(RTLD_NEXT, "RSA_generate_key_ex"));

constexpr uint32_t kTpm2CcCreatePrimary = 0x131;
constexpr uint32_t kTpm2CcCreate = 0x153;
constexpr uint32_t kTpm2CcCreateLoaded = 0x191;

bool is_cancelled() {
  Search search = g_search.load(std::memory_order_relaxed);
  return search == Search::kCancelled || search == Search::kCutShort;
}

// Whether the search is to be told what ends it soonest, instead of the truth.
bool cut_short() {
  if (!is_cancelled()) return false;
  g_search = Search::kCutShort;
  return true;
}

}  // namespace

bool in_command(ByteView command) {
  uint32_t code = message_code(command.data());
  return code == kTpm2CcCreatePrimary || code == kTpm2CcCreate || code == kTpm2CcCreateLoaded;
}

void begin() {
  g_search = Search::kGoesOn;
}

bool end() {
  return g_search.exchange(Search::kNone) == Search::kCutShort;
}

void cancel() {
  Search expected = Search::kGoesOn;
  g_search.compare_exchange_strong(expected, Search::kCancelled);
}

}  // namespace swtpm::prime_search

// libtpms's calls come here, because the program is searched before its libraries.

// The test of Miller and Rabin: perhaps a prime, whatever the base.
extern "C" int BN_mod_exp(BIGNUM* result, const BIGNUM* base, const BIGNUM* exponent, const BIGNUM* modulus,
                          BN_CTX* context) {
  using namespace swtpm::prime_search;
  return cut_short() ? BN_one(result) : g_mod_exp(result, base, exponent, modulus, context);
}

// The sieve divides numbers of a prime's size by words, the products of small primes; an inverse modulo such
// a number does so once, and never comes to its end if smaller numbers are not divided truly. A remainder of
// 2 leaves numbers for the test, and none of them unfit for the public exponent.
extern "C" int BN_div(BIGNUM* quotient, BIGNUM* remainder, const BIGNUM* dividend, const BIGNUM* divisor,
                      BN_CTX* context) {
  using namespace swtpm::prime_search;
  constexpr int kWordBits = 64, kSmallestPrimeBits = 512;
  if (!is_cancelled() || BN_num_bits(divisor) > kWordBits || BN_num_bits(dividend) < kSmallestPrimeBits)
    return g_div(quotient, remainder, dividend, divisor, context);
  cut_short();
  if (quotient) BN_zero(quotient);
  return !remainder || BN_set_word(remainder, 2);
}

// A key that comes from no seed is libcrypto's work as a whole, which asks whether to go on.
extern "C" int RSA_generate_key_ex(RSA* key, int bits, BIGNUM* exponent, BN_GENCB* callback) {
  using namespace swtpm::prime_search;
  std::unique_ptr<BN_GENCB, decltype(&BN_GENCB_free)> ours(callback ? nullptr : BN_GENCB_new(),
                                                           BN_GENCB_free);
  if (ours)
    BN_GENCB_set(
        ours.get(), [](int, int, BN_GENCB*) { return cut_short() ? 0 : 1; }, nullptr);
  return g_generate_key(key, bits, exponent, ours ? ours.get() : callback);
}
