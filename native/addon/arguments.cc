#include "addon/arguments.h"

#include <cerrno>

namespace swtpm::addon {

int IntArgument(const Napi::CallbackInfo& info, size_t index, int fallback) {
  int32_t value = fallback;
  if (napi_get_value_int32(info.Env(), info[index], &value) != napi_ok) return fallback;
  return value;
}

int64_t WideArgument(const Napi::CallbackInfo& info, size_t index) {
  int64_t value = -1;
  if (napi_get_value_int64(info.Env(), info[index], &value) != napi_ok) return -1;
  return value;
}

bool FlagArgument(const Napi::CallbackInfo& info, size_t index) {
  bool value = false;
  return napi_get_value_bool(info.Env(), info[index], &value) == napi_ok && value;
}

std::optional<std::string> TextArgument(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsString()) return std::nullopt;
  std::string text = info[index].As<Napi::String>().Utf8Value();
  if (text.find('\0') != std::string::npos) return std::nullopt;
  return text;
}

std::optional<std::span<uint8_t>> BytesArgument(const Napi::CallbackInfo& info, size_t index) {
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(info.Env(), info[index], &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    return std::nullopt;
  }
  return std::span<uint8_t>(static_cast<uint8_t*>(data), length);
}

std::optional<std::span<uint8_t>> RangeArgument(const Napi::CallbackInfo& info, size_t index) {
  const auto bytes = BytesArgument(info, index);
  const int64_t offset = WideArgument(info, index + 1);
  const int64_t length = WideArgument(info, index + 2);
  if (!bytes || offset < 0 || length <= 0) return std::nullopt;
  const auto size = static_cast<int64_t>(bytes->size());
  if (offset > size || length > size - offset) return std::nullopt;
  return bytes->subspan(static_cast<size_t>(offset), static_cast<size_t>(length));
}

Napi::Value Result(const Napi::CallbackInfo& info, int64_t value) {
  return Napi::Number::New(info.Env(), static_cast<double>(value));
}

Napi::Value SystemResult(const Napi::CallbackInfo& info, int64_t value) {
  return Result(info, value < 0 ? -errno : value);
}

}  // namespace swtpm::addon
