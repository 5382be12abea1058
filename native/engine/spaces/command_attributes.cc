#include "engine/spaces/command_attributes.h"

#include <algorithm>

#include "engine/spaces/handles.h"

namespace swtpm::spaces {
namespace {

// TPM 2.0 Part 2, 8.9: bits 15:0 and 29 (vendor's) are the command's, 27:25 count its handles, 28 says that
// it returns one.
constexpr uint32_t kCodeMask = 0x2000ffff;
constexpr unsigned kHandlesShift = 25;
constexpr uint32_t kReturnsHandle = 1u << 28;

constexpr uint32_t kMostAtOnce = 254;
constexpr size_t kMostCommands = 1024;

}  // namespace

TpmResult CommandTable::read(const Execute& execute) {
  if (!rows_.empty()) return kRcSuccess;
  std::vector<uint32_t> rows;
  uint32_t next = 0;
  for (bool more = true; more;) {
    ResponseBuffer buffer;
    Bytes command = ByteWriter()
                        .u16(kTagNoSessions)
                        .u32(22)
                        .u32(kCcGetCapability)
                        .u32(kCapCommands)
                        .u32(next)
                        .u32(kMostAtOnce)
                        .take();
    ByteReader response(execute(command, buffer));
    response.skip(6);
    TpmResult code = response.u32();
    if (code != kRcSuccess) return code;
    more = response.u8() != 0;
    uint32_t capability = response.u32();
    uint32_t count = response.u32();
    if (capability != kCapCommands || count > kMostAtOnce || (more && count == 0)) return kRcFailure;
    for (uint32_t i = 0; i < count; i++) rows.push_back(response.u32());
    if (response.failed() || rows.size() > kMostCommands) return kRcFailure;
    if (!rows.empty()) next = (rows.back() & kCodeMask) + 1;
  }
  std::ranges::sort(rows, {}, [](uint32_t row) { return row & kCodeMask; });
  rows_ = std::move(rows);
  return kRcSuccess;
}

std::optional<CommandAttributes> CommandTable::find(uint32_t code) const {
  auto row =
      std::ranges::lower_bound(rows_, code, {}, [](uint32_t attributes) { return attributes & kCodeMask; });
  if (row == rows_.end() || (*row & kCodeMask) != code) return std::nullopt;
  CommandAttributes found{(*row >> kHandlesShift) & 7, (*row & kReturnsHandle) != 0};
  // To the TPM its handle is a parameter.
  if (code == kCcFlushContext) found.handles = 1;
  return found;
}

}  // namespace swtpm::spaces
