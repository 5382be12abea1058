#include "addon/devices.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>

#include "addon/arguments.h"

namespace swtpm::addon {
namespace {

Napi::Value DeviceNumbers(const Napi::CallbackInfo& info) {
  const auto name = TextArgument(info, 1);
  if (!name) return Result(info, -EINVAL);
  struct stat status;
  if (fstatat(IntArgument(info, 0), name->c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0)
    return SystemResult(info, -1);
  if (!S_ISCHR(status.st_mode)) return Result(info, -ENODEV);
  auto numbers = Napi::Array::New(info.Env(), 2);
  numbers.Set(0U, Napi::Number::New(info.Env(), major(status.st_rdev)));
  numbers.Set(1U, Napi::Number::New(info.Env(), minor(status.st_rdev)));
  return numbers;
}

Napi::Value IsHungUp(const Napi::CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  // poll() skips those.
  if (fd < 0) return Result(info, -EBADF);
  pollfd device{fd, 0, 0};
  // Errors and hang-ups are reported unasked.
  if (poll(&device, 1, 0) < 0) return SystemResult(info, -1);
  if ((device.revents & POLLNVAL) != 0) return Result(info, -EBADF);
  return Result(info, (device.revents & (POLLERR | POLLHUP)) != 0 ? 1 : 0);
}

Napi::Value Ioctl(const Napi::CallbackInfo& info) {
  const auto argument = BytesArgument(info, 2);
  const auto request = WideArgument(info, 1);
  if (!argument || request < 0) return Result(info, -EINVAL);
  return SystemResult(info,
                      ioctl(IntArgument(info, 0), static_cast<unsigned long>(request), argument->data()));
}

}  // namespace

void RegisterDevices(Napi::Env env, Napi::Object exports) {
  exports.Set("deviceNumbers", Napi::Function::New<DeviceNumbers>(env, "deviceNumbers"));
  exports.Set("ioctl", Napi::Function::New<Ioctl>(env, "ioctl"));
  exports.Set("isHungUp", Napi::Function::New<IsHungUp>(env, "isHungUp"));
}

}  // namespace swtpm::addon
