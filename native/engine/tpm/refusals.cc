#include "engine/tpm/refusals.h"

#include "common/log.h"

namespace swtpm {
namespace {

// A guest that makes mistakes on purpose must not fill the host's disk.
constexpr unsigned kMaxLines = 20;

const char* text_of(Refusals::Reason reason) {
  using Reason = Refusals::Reason;
  switch (reason) {
    case Reason::kNoInit:
      return "the TPM has not been powered on; send INIT (swtpm_ioctl -i), or start swtpm with --flags "
             "startup-clear";
    case Reason::kStopped:
      return "the TPM was powered off by STOP; send INIT (swtpm_ioctl -i)";
    case Reason::kInitFailed:
      return "the TPM is off because the last INIT failed; mend what the lines above name, and send INIT "
             "(swtpm_ioctl -i)";
    case Reason::kOff:
      return "the TPM is off; send INIT (swtpm_ioctl -i)";
    case Reason::kNotRestored:
      return "the TPM is off because it could not be restored; send INIT (swtpm_ioctl -i)";
    case Reason::kHandedOver:
      return "the TPM is being handed over to another engine; send the command again";
    case Reason::kStorageUnlocked:
      return "the lock on the TPM's state is not held; end the process that holds it";
    case Reason::kTurnedAway:
      return "the TPM was powered on or off while the command waited for the lock on its state; send it "
             "again";
    case Reason::kHeldByScript:
      return "a script held it when the TPM was powered off or handed over to another engine; send it again";
    case Reason::kNotStored:
      return "what it changes cannot be stored, as the lines above say; the TPM is as before";
    case Reason::kLibtpmsFailed:
      return "libtpms failed to execute it";
    case Reason::kFailureMode:
      return "the TPM is in failure mode; power it off and on (swtpm_ioctl --stop, then -i)";
    case Reason::kTooShort:
      return "it has fewer bytes than the header of a command";
    case Reason::kCutOff:
      return "fewer bytes came within 500 ms than its header says";
    case Reason::kTooLong:
      return "it is longer than the 4096 bytes of a TPM's buffer";
    case Reason::kSetLocalityForbidden:
      return "SetLocality is not allowed; start swtpm with --locality allow-set-locality";
    case Reason::kLocalityForbidden:
      return "its locality does not exist, is forbidden by --locality reject-locality-4, or is above the one "
             "that the control channel has set";
  }
  return "";
}

}  // namespace

ByteView Refusals::answer(ResponseBuffer& buffer, Reason reason, TpmResult code) {
  note(reason, code);
  return buffer.set(version_, code);
}

void Refusals::note(Reason reason, TpmResult code) {
  if (logged_.load(std::memory_order_relaxed) & bit(reason)) return;
  if (logged_.fetch_or(bit(reason)) & bit(reason)) return;
  unsigned line = ++lines_[static_cast<size_t>(reason)];
  if (line > kMaxLines) return;
  log(LogLevel::kError, "Cannot execute a TPM command (answer 0x%x): %s%s", code, text_of(reason),
      line == kMaxLines ? ". This is not logged any more" : "");
}

}  // namespace swtpm
