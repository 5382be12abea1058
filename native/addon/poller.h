// Poller: tells JavaScript when a descriptor is readable or writable, on the event loop of its environment.
// For descriptors that node:net has no class for, and for sockets that carry descriptors.
#pragma once

#include <napi.h>
#include <uv.h>

#include <memory>

namespace swtpm::addon {

// Every method and the callback run on the thread of the environment that made the Poller; there are no
// locks. The caller owns the descriptor, and closes it after close(). One Poller per descriptor and
// environment.
class Poller : public Napi::ObjectWrap<Poller> {
 public:
  static void Register(Napi::Env env, Napi::Object exports);

  explicit Poller(const Napi::CallbackInfo& info);
  // The garbage collector calls it, on the environment's thread. Stops polling if close() was not called.
  ~Poller() override;

 private:
  struct Handle;

  Napi::Value Start(const Napi::CallbackInfo& info);
  Napi::Value Stop(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  int Open();
  void Watch(int mask);
  void Pause();
  void Detach();
  void Deliver(int error, int events);

  static void OnPoll(uv_poll_t* poll, int status, int events);

  const int fd_;
  int mask_ = 0;  // what start() asked for; 0 while stopped
  bool closed_ = false;
  Napi::FunctionReference callback_;
  std::unique_ptr<Napi::AsyncContext> context_;
  Handle* handle_ = nullptr;  // made by the first start(); frees itself when libuv has closed it
};

}  // namespace swtpm::addon
