#include "engine/serve/fuse_reply.h"

#include <errno.h>
#include <linux/fuse.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "common/log.h"
#include "common/reason.h"
#include "generated/contract.h"

namespace swtpm {
namespace {

static_assert(sizeof(fuse_out_header) == 16);

// code: a negative errno, 0, or with unique 0 a notification.
void send(const UniqueFd& device, uint64_t unique, int32_t code, ByteView payload) {
  uint8_t message[sizeof(fuse_out_header) + wire::kTpmBufferSizeBytes];
  payload = payload.first(std::min<size_t>(payload.size(), wire::kTpmBufferSizeBytes));
  fuse_out_header header{static_cast<uint32_t>(sizeof(header) + payload.size()), code, unique};
  memcpy(message, &header, sizeof(header));
  if (!payload.empty()) memcpy(message + sizeof(header), payload.data(), payload.size());
  while (::write(device.get(), message, header.len) < 0) {
    if (errno == EINTR) continue;
    // ENOENT: the client does not wait for it any more. ENODEV: the device is gone.
    if (errno != ENOENT && errno != ENODEV)
      log(LogLevel::kWarning, "Cannot reply to FUSE request %llu: %s",
          static_cast<unsigned long long>(unique), reason_of(errno).text);
    return;
  }
}

}  // namespace

FuseReply::~FuseReply() {
  if (!device_) return;
  log(LogLevel::kError, "FUSE request %llu was dropped without a reply; its client gets EIO",
      static_cast<unsigned long long>(unique_));
  std::move(*this).error(EIO);
}

void FuseReply::data(ByteView payload) && {
  if (const UniqueFd* device = std::exchange(device_, nullptr)) send(*device, unique_, 0, payload);
}

void FuseReply::error(int error) && {
  if (const UniqueFd* device = std::exchange(device_, nullptr)) send(*device, unique_, -error, {});
}

void fuse_notify_poll(const UniqueFd& device, uint64_t handle) {
  fuse_notify_poll_wakeup_out wakeup{handle};
  send(device, 0, FUSE_NOTIFY_POLL, {reinterpret_cast<const uint8_t*>(&wakeup), sizeof(wakeup)});
}

}  // namespace swtpm
