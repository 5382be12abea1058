// The obligation to reply to one FUSE request. A request without a reply blocks its caller for ever, and a
// second reply may reach another request; so the obligation is an object that can be moved and not copied.
// Each way to meet it consumes the object, and one that is destroyed without having been met replies EIO.
#pragma once

#include <cstdint>
#include <utility>

#include "common/bytes.h"
#include "common/unique_fd.h"

namespace swtpm {

class FuseReply {
 public:
  // device: /dev/cuse, or closed when nothing can be replied any more. It must outlive this object.
  FuseReply(const UniqueFd& device, uint64_t unique) : device_(&device), unique_(unique) {}
  FuseReply(FuseReply&& other) noexcept
      : device_(std::exchange(other.device_, nullptr)), unique_(other.unique_) {}
  FuseReply& operator=(FuseReply&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(unique_, other.unique_);
    return *this;
  }
  FuseReply(const FuseReply&) = delete;
  FuseReply& operator=(const FuseReply&) = delete;
  ~FuseReply();

  uint64_t unique() const { return unique_; }

  // Success, with what the kind of request asks for, at most wire::kTpmBufferSizeBytes.
  void data(ByteView payload) &&;
  // error: a positive errno.
  void error(int error) &&;
  // The supervisor, which has the request and the device too, replies in our place.
  void leave_to_supervisor() && { device_ = nullptr; }

 private:
  const UniqueFd* device_;  // null: met, or moved away
  uint64_t unique_;
};

// Tells the kernel that a poll() on `handle` may have a new result (FUSE_NOTIFY_POLL). Nothing replies to
// that.
void fuse_notify_poll(const UniqueFd& device, uint64_t handle);

}  // namespace swtpm
