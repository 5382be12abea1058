#include "addon/poller.h"

#include <fcntl.h>
#include <poll.h>

#include <array>
#include <cerrno>

#include "addon/arguments.h"

namespace swtpm::addon {

// What libuv and the environment's clean-up hook point to. It outlives the Poller, because uv_close() takes
// one more turn of the loop. When the environment shuts down, the asynchronous clean-up hook makes Node wait
// for that turn; otherwise a worker's loop would end with an open handle.
struct Poller::Handle {
  uv_poll_t poll{};
  Poller* owner = nullptr;
  napi_async_cleanup_hook_handle hook = nullptr;

  void Close() {
    auto* base = reinterpret_cast<uv_handle_t*>(&poll);
    if (owner != nullptr) owner->handle_ = nullptr;
    owner = nullptr;
    if (!uv_is_closing(base)) uv_close(base, OnClosed);
  }

  static void OnClosed(uv_handle_t* base) {
    auto* self = static_cast<Handle*>(base->data);
    napi_remove_async_cleanup_hook(self->hook);
    delete self;
  }

  static void OnCleanup(napi_async_cleanup_hook_handle, void* self) { static_cast<Handle*>(self)->Close(); }
};

void Poller::Register(Napi::Env env, Napi::Object exports) {
  exports.Set("Poller",
              DefineClass(env, "Poller",
                          {InstanceMethod<&Poller::Start>("start"), InstanceMethod<&Poller::Stop>("stop"),
                           InstanceMethod<&Poller::Close>("close")}));
}

Poller::Poller(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Poller>(info), fd_(IntArgument(info, 0)) {
  if (info[1].IsFunction()) callback_ = Napi::Persistent(info[1].As<Napi::Function>());
  context_ = std::make_unique<Napi::AsyncContext>(info.Env(), "swtpm.Poller");
}

Poller::~Poller() {
  if (handle_ != nullptr) handle_->Close();
}

Napi::Value Poller::Start(const Napi::CallbackInfo& info) {
  const int mask = IntArgument(info, 0, 0);
  if (closed_) return Result(info, -EBADF);
  if (mask <= 0 || mask > (UV_READABLE | UV_WRITABLE) || callback_.IsEmpty()) {
    return Result(info, -EINVAL);
  }
  if (handle_ == nullptr) {
    const int error = Open();
    if (error < 0) return Result(info, error);
  }
  // A started Poller must not be collected, even if only its own callback refers to it.
  if (mask_ == 0) Ref();
  mask_ = mask;
  return Result(info, uv_poll_start(&handle_->poll, mask, OnPoll));
}

Napi::Value Poller::Stop(const Napi::CallbackInfo& info) {
  Pause();
  return Result(info, 0);
}

Napi::Value Poller::Close(const Napi::CallbackInfo& info) {
  closed_ = true;
  Pause();
  if (handle_ != nullptr) handle_->Close();
  callback_.Reset();
  return Result(info, 0);
}

// Makes the handle. Environment's thread. Returns 0 or -errno.
int Poller::Open() {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(Env(), &loop) != napi_ok) return -ENOTSUP;
  const int flags = fcntl(fd_, F_GETFL);
  if (flags < 0) return -errno;
  auto handle = std::make_unique<Handle>();
  const int error = uv_poll_init(loop, &handle->poll, fd_);
  // libuv makes the descriptor non-blocking. The open file description may be shared with an engine whose
  // threads rely on blocking reads, and polling does not need it.
  if ((flags & O_NONBLOCK) == 0) fcntl(fd_, F_SETFL, flags);
  if (error < 0) return error;
  handle->poll.data = handle.get();
  handle->owner = this;
  handle_ = handle.release();
  napi_add_async_cleanup_hook(Env(), Handle::OnCleanup, handle_, &handle_->hook);
  return 0;
}

void Poller::Pause() {
  if (handle_ != nullptr) uv_poll_stop(&handle_->poll);
  if (mask_ != 0) Unref();
  mask_ = 0;
}

// libuv's callback. Environment's thread, no JavaScript on the stack.
void Poller::OnPoll(uv_poll_t* poll, int status, int events) {
  Poller* owner = static_cast<Handle*>(poll->data)->owner;
  if (owner == nullptr) return;
  if (status >= 0) {
    owner->Deliver(0, events);
    return;
  }
  // Whenever the kernel reports POLLERR (a reset connection, a pipe without a reader), libuv stops and
  // reports UV_EBADF. Bytes may still be waiting, and the read or write after them returns the true errno. So
  // the descriptor counts as ready, and only one that is not open is an error.
  pollfd state{owner->fd_, POLLIN | POLLOUT, 0};
  if (::poll(&state, 1, 0) < 0 || (state.revents & (POLLNVAL | POLLERR)) == POLLNVAL) {
    owner->Deliver(status, 0);
    return;
  }
  uv_poll_start(poll, owner->mask_, OnPoll);
  owner->Deliver(0, owner->mask_);
}

// Calls JavaScript, then runs its microtasks and process.nextTick(). Environment's thread. The callback may
// have closed the Poller, or ended the environment, by the time it returns.
//
// When a worker ends, its loop turns once more before the clean-up hooks run, and calls into JavaScript fail
// then. Hence the plain C interface: the C++ one would abort the process.
void Poller::Deliver(int error, int events) {
  const Napi::Env env = Env();
  const Napi::HandleScope scope(env);
  const napi_value receiver = Value();
  const napi_value callback = callback_.Value();
  const std::array<napi_value, 3> arguments{Napi::Number::New(env, error),
                                            Napi::Boolean::New(env, (events & UV_READABLE) != 0),
                                            Napi::Boolean::New(env, (events & UV_WRITABLE) != 0)};
  if (error < 0) Pause();
  const napi_status status =
      napi_make_callback(env, *context_, receiver, callback, arguments.size(), arguments.data(), nullptr);
  if (status == napi_ok) return;
  bool thrown = false;
  napi_value exception;
  if (napi_is_exception_pending(env, &thrown) != napi_ok || !thrown) {
    Pause();
  } else if (napi_get_and_clear_last_exception(env, &exception) == napi_ok) {
    // No JavaScript on the stack can catch it, so it becomes an 'uncaughtException' of the environment.
    napi_fatal_exception(env, exception);
  }
}

}  // namespace swtpm::addon
