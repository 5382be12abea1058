#define OPENSSL_SUPPRESS_DEPRECATED
#include "engine/tpm/insecure_seed.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#include <atomic>

#include "common/bytes.h"

namespace swtpm::insecure_seed {
namespace {

constexpr time_t kBeginning = 946684800;  // 2000-01-01 00:00:00 UTC
constexpr uint64_t kStepMs = 1;
// What the text is the seed of, so that it is none of anything else.
constexpr std::string_view kPurpose = "swtpm --seed-insecure ";

std::atomic<Position*> g_position{nullptr};
// One thread at a time is within libtpms.
EVP_CIPHER_CTX* g_stream = nullptr;

int draw(unsigned char* out, int length) {
  if (length < 0) return 0;
  // The stream is what zeros are encrypted to.
  memset(out, 0, static_cast<size_t>(length));
  int written = 0;
  return EVP_EncryptUpdate(g_stream, out, &written, out, length) == 1 && written == length;
}

}  // namespace

thread_local bool Scope::inside_ = false;

bool replaces_time() {
  return g_position.load(std::memory_order_relaxed) != nullptr && Scope::inside_;
}

namespace {

// What libcrypto draws for a key that libtpms has it make is libtpms's, too.
class Draw : Scope {
 public:
  static int bytes(unsigned char* out, int length) {
    return inside_ ? draw(out, length) : RAND_OpenSSL()->bytes(out, length);
  }
};

}  // namespace

void begin(std::string_view text, Position& position) {
  uint8_t key[EVP_MAX_MD_SIZE];
  Bytes seed(kPurpose.begin(), kPurpose.end());
  seed.insert(seed.end(), text.begin(), text.end());
  uint8_t counter[16] = {};
  store_be64(counter, position.engines++);
  g_stream = EVP_CIPHER_CTX_new();
  if (!g_stream || EVP_Digest(seed.data(), seed.size(), key, nullptr, EVP_sha256(), nullptr) != 1 ||
      EVP_EncryptInit_ex(g_stream, EVP_aes_256_ctr(), nullptr, key, counter) != 1)
    abort();
  static RAND_METHOD method{};
  method.bytes = Draw::bytes;
  method.pseudorand = Draw::bytes;
  method.status = [] { return 1; };
  RAND_set_rand_method(&method);
  g_position = &position;
}

void count_command() {
  if (Position* position = g_position.load(std::memory_order_relaxed)) position->commands++;
}

timespec now() {
  uint64_t ms = g_position.load(std::memory_order_relaxed)->commands * kStepMs;
  return {kBeginning + static_cast<time_t>(ms / 1000), static_cast<long>(ms % 1000) * 1000000};
}

}  // namespace swtpm::insecure_seed
