// Uses FuseReply in each way, with a file for a device: descriptor 3, to which every reply is written. The test
// reads them; fuse-reply.test.ts.
#include "engine/serve/fuse_reply.h"

#include <errno.h>

#include <deque>
#include <optional>
#include <type_traits>

using swtpm::FuseReply;

static_assert(!std::is_copy_constructible_v<FuseReply> && !std::is_copy_assignable_v<FuseReply>);
static_assert(std::is_nothrow_move_constructible_v<FuseReply>);

int main() {
  swtpm::UniqueFd device(3);
  const uint8_t payload[] = {1, 2, 3};
  FuseReply(device, 2).data(payload);
  FuseReply(device, 4).error(EBUSY);
  FuseReply(device, 6).leave_to_supervisor();
  { FuseReply dropped(device, 8); }

  // Used twice: the second reply is none.
  FuseReply twice(device, 10);
  std::move(twice).data({});
  std::move(twice).error(EIO);

  // Moved: the duty goes along.
  std::optional<FuseReply> from;
  from.emplace(device, 12);
  FuseReply to = *std::move(from);
  from.reset();
  std::move(to).data({});

  // Parked, and forgotten.
  std::deque<FuseReply> parked;
  parked.emplace_back(device, 14);
  parked.clear();

  // A device that was closed takes no reply, and no other file does in its place.
  FuseReply late(device, 16);
  device.reset();
}
