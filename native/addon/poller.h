// Poller: tells JavaScript when a descriptor is readable or writable, on the event loop of its environment.
// For descriptors node:net has no class for, and for sockets on which descriptors travel.
#pragma once

#include <napi.h>
#include <uv.h>

#include <memory>

namespace swtpm::addon {

// JavaScript: new Poller(fd, (error, readable, writable, hangup) => …), then start(mask). Every method and
// the callback run on the thread of the environment that made it; there are no locks. The descriptor stays
// the caller's, who closes it after close() and not before. One Poller per descriptor and environment.
class Poller : public Napi::ObjectWrap<Poller> {
 public:
  static void Register(Napi::Env env, Napi::Object exports);

  // new Poller(fd, callback). Does nothing yet and cannot fail.
  explicit Poller(const Napi::CallbackInfo& info);
  // Called by the garbage collector, on the environment's thread; stops the polling of one that was never
  // closed.
  ~Poller() override;

 private:
  struct Handle;

  Napi::Value Start(const Napi::CallbackInfo& info);
  Napi::Value Stop(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
  Napi::Value HoldLoop(const Napi::CallbackInfo& info);
  Napi::Value ReleaseLoop(const Napi::CallbackInfo& info);

  int Open();
  void Watch(int mask);
  void Pause();
  void Detach();
  void Deliver(int error, int events);

  static void OnPoll(uv_poll_t* poll, int status, int events);

  const int fd_;
  int mask_ = 0;            // what start() asked for; 0 while stopped
  bool holds_loop_ = true;  // whether an active Poller keeps the process alive
  bool closed_ = false;
  Napi::FunctionReference callback_;
  std::unique_ptr<Napi::AsyncContext> context_;
  Handle* handle_ = nullptr;  // made by the first start(); frees itself once libuv has let go of it
};

}  // namespace swtpm::addon
