#include "engine/libcrypto/prime_search.h"

#include <atomic>

#include "engine/tpm/message.h"

namespace swtpm::prime_search {
namespace {

enum class Search { kNone, kRuns, kCancelled, kCutShort };

std::atomic<Search> g_search{Search::kNone};

constexpr uint32_t kTpm2CcCreatePrimary = 0x131;
constexpr uint32_t kTpm2CcCreate = 0x153;
constexpr uint32_t kTpm2CcCreateLoaded = 0x191;

}  // namespace

bool in_command(ByteView command) {
  uint32_t code = message_code(command.data());
  return code == kTpm2CcCreatePrimary || code == kTpm2CcCreate || code == kTpm2CcCreateLoaded;
}

void begin() {
  g_search = Search::kRuns;
}

bool end() {
  return g_search.exchange(Search::kNone) == Search::kCutShort;
}

void cancel() {
  Search expected = Search::kRuns;
  g_search.compare_exchange_strong(expected, Search::kCancelled);
}

bool cut_short() {
  Search search = g_search.load(std::memory_order_relaxed);
  if (search != Search::kCancelled && search != Search::kCutShort) return false;
  g_search = Search::kCutShort;
  return true;
}

}  // namespace swtpm::prime_search
