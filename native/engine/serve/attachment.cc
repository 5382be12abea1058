#include "engine/serve/attachment.h"

#include <fcntl.h>

#include "engine/serve/cuse_loop.h"
#include "engine/serve/managed_cuse_loop.h"
#include "engine/serve/managed_stream_loop.h"
#include "engine/serve/stream_loop.h"

namespace swtpm {
namespace {

// The descriptor may come from an event loop that set it non-blocking; all its duplicates share that flag.
void make_blocking(int fd) {
  int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK)) ::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

}  // namespace

TpmResult Attachment::attach(uint32_t kind, uint32_t flags, UniqueFd fd, UniqueFd client) {
  if (!fd) return kTpmIoerror;
  std::lock_guard lock(mutex_);
  if (loop_) return kTpmIoerror;
  auto loop = make_loop(static_cast<wire::AttachKind>(kind), flags, std::move(fd), std::move(client));
  if (!loop) return kTpmBadParameter;
  loop_ = loop;
  threads_left_ = loop->thread_count();
  threads_.start(loop->thread_count(), [this, loop](size_t) { serve(loop); });
  return kTpmSuccess;
}

// Null: there is no such kind, or it is not served here.
std::shared_ptr<Loop> Attachment::make_loop(wire::AttachKind kind, uint32_t flags, UniqueFd fd,
                                            UniqueFd client) {
  const bool continued = flags & wire::kAttachContinue;
  const bool managed_kind =
      kind == wire::AttachKind::kManagedListener || kind == wire::AttachKind::kManagedCuse;
  if (managed_kind && !managed_) return nullptr;
  make_blocking(fd.get());
  if (!continued && kind == wire::AttachKind::kManagedCuse) managed_->device.clear();
  if (!continued && !managed_kind) device_.clear();
  switch (kind) {
    case wire::AttachKind::kStream:
    case wire::AttachKind::kListener:
    case wire::AttachKind::kChardev:
      return std::make_shared<StreamLoop>(kind, flags, std::move(fd), std::move(client), channel_, path_,
                                          device_);
    case wire::AttachKind::kCuse:
      return std::make_shared<CuseLoop>(flags, std::move(fd), channel_, path_, device_);
    case wire::AttachKind::kManagedListener:
      return std::make_shared<ManagedStreamLoop>(flags, std::move(fd), managed_->wake_fd, channel_, path_,
                                                 managed_->manager);
    case wire::AttachKind::kManagedCuse:
      return std::make_shared<ManagedCuseLoop>(continued, std::move(fd), path_, managed_->manager,
                                               managed_->device);
  }
  return nullptr;
}

void Attachment::serve(const std::shared_ptr<Loop>& loop) {
  loop->run();
  std::lock_guard lock(mutex_);
  if (--threads_left_ > 0 || loop_ != loop || loop->stopping()) return;
  loop->close();
  loop_.reset();
  // The supervisor hears of the end before the next client is attached, and can attach it as soon as it does.
  channel_.event(closed_, static_cast<uint32_t>(loop->end_errno()));
}

UniqueFd Attachment::hand_over() {
  std::shared_ptr<Loop> loop;
  {
    std::lock_guard lock(mutex_);
    if (!loop_) return UniqueFd();
    loop = loop_;
    loop->request_stop();
  }
  threads_.interrupt_until_idle([this] { path_.turn_away(); });
  std::lock_guard lock(mutex_);
  loop->close();
  loop_.reset();
  return loop->take_client();
}

void Attachment::set_route(wire::Route route) {
  std::lock_guard lock(mutex_);
  if (loop_) loop_->set_route(route);
}

}  // namespace swtpm
