// Reading arguments and making results. TypeScript has checked the types; these helpers only make sure that a
// wrong argument leads to -EBADF or -EINVAL, not to a crash or an exception.
//
// Everything here runs on the thread of the calling JavaScript environment.
#pragma once

#include <napi.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace swtpm::addon {

// Argument `index` as an integer, or `fallback` where it is not a number.
int IntArgument(const Napi::CallbackInfo& info, size_t index, int fallback = -1);

// The same for numbers that do not fit an int, such as user and group ids. -1 where it is not a number.
int64_t WideArgument(const Napi::CallbackInfo& info, size_t index);

// Argument `index` as a truth value; anything but `true` is false.
bool FlagArgument(const Napi::CallbackInfo& info, size_t index);

// Argument `index` as UTF-8. Nothing if it is not a string or holds a NUL, which a C string would cut short.
std::optional<std::string> TextArgument(const Napi::CallbackInfo& info, size_t index);

// The memory of the Uint8Array (or Buffer) at `index`. Valid until the call returns.
std::optional<std::span<uint8_t>> BytesArgument(const Napi::CallbackInfo& info, size_t index);

// The part of the Uint8Array at `index` that the two arguments after it, offset and length, name. Nothing if
// that part is empty or does not lie inside the array.
std::optional<std::span<uint8_t>> RangeArgument(const Napi::CallbackInfo& info, size_t index);

// `value`, unchanged.
Napi::Value Result(const Napi::CallbackInfo& info, int64_t value);

// `value`, which a system call has returned, or -errno if it is negative. Call it before errno can change.
Napi::Value SystemResult(const Napi::CallbackInfo& info, int64_t value);

}  // namespace swtpm::addon
