#include "engine/prime_search.h"

#include <dlfcn.h>
#include <openssl/bn.h>

#include <atomic>

#include "engine/response.h"

namespace swtpm::prime_search {
namespace {

enum class Search { kNone, kGoesOn, kCancelled, kCutShort };

// There is one TPM per process, and it does one command at a time.
std::atomic<Search> g_search{Search::kNone};

using ModExp = int(BIGNUM*, const BIGNUM*, const BIGNUM*, const BIGNUM*, BN_CTX*);
ModExp* const g_mod_exp = reinterpret_cast<ModExp*>(dlsym(RTLD_NEXT, "BN_mod_exp"));

constexpr uint32_t kTpm2CcCreatePrimary = 0x131;
constexpr uint32_t kTpm2CcCreate = 0x153;
constexpr uint32_t kTpm2CcCreateLoaded = 0x191;

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
extern "C" int BN_mod_exp(BIGNUM* result, const BIGNUM* base, const BIGNUM* exponent, const BIGNUM* modulus,
                          BN_CTX* context) {
  using namespace swtpm::prime_search;
  Search search = g_search.load(std::memory_order_relaxed);
  if (search == Search::kNone || search == Search::kGoesOn)
    return g_mod_exp(result, base, exponent, modulus, context);
  g_search = Search::kCutShort;
  // By Miller and Rabin: perhaps a prime, whatever the base.
  return BN_one(result);
}
