#include "addon/capabilities.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "addon/arguments.h"
#include "addon/other_threads.h"
#include "common/capabilities.h"

namespace swtpm::addon {
namespace {

std::mutex g_one_at_a_time;
// For threads in a signal handler, which gets no arguments.
std::atomic<uint64_t> g_keep;

bool DropOwn() {
  const uint64_t keep = g_keep.load();
  limit_bounding_and_ambient_set();
  Capabilities own;
  return own.read() && Capabilities{own.effective & keep, own.permitted & keep}.apply();
}

// `status`: see proc(5).
bool HasMore(const char* status) {
  const auto more = [&](const char* name) {
    const char* field = strstr(status, name);
    return field != nullptr && (strtoull(field + strlen(name), nullptr, 16) & ~g_keep.load()) != 0;
  };
  return more("\nCapPrm:") || more("\nCapEff:");
}

Napi::Value DropCapabilities(const Napi::CallbackInfo& info) {
  uint64_t keep = 0;
  if (info[0].IsArray()) {
    const auto list = info[0].As<Napi::Array>();
    for (uint32_t i = 0; i < list.Length(); i++) {
      const Napi::Value capability = list[i];
      uint32_t number;
      if (napi_get_value_uint32(info.Env(), capability, &number) != napi_ok || number > 63)
        return Result(info, -EINVAL);
      keep |= Capabilities::bit(static_cast<int>(number));
    }
  }
  const std::lock_guard lock(g_one_at_a_time);
  g_keep.store(keep);
  if (!DropOwn()) return SystemResult(info, -1);
  if (const int error = RunInOtherThreads([] { DropOwn(); }, HasMore); error < 0) return Result(info, error);
  return Result(info, prctl(PR_CAPBSET_READ, CAP_CHOWN) == 1 ? 1 : 0);
}

}  // namespace

void RegisterCapabilities(Napi::Env env, Napi::Object exports) {
  exports.Set("dropCapabilities", Napi::Function::New<DropCapabilities>(env, "dropCapabilities"));
}

}  // namespace swtpm::addon
