#include "engine/requests.h"

#include <openssl/crypto.h>

#include <array>
#include <latch>
#include <utility>

#include "common/log.h"
#include "engine/tpm/refused_crypto.h"

namespace swtpm {
namespace {

using wire::Code;

Bytes result(TpmResult code) {
  return ByteWriter().u32(code).take();
}

}  // namespace

Requests::Requests(Channel& channel, Tpm& tpm, StorageGate& gate, Interceptor& interceptor,
                   Attachment& attachment, Attachment* managed)
    : channel_(channel),
      tpm_(tpm),
      gate_(gate),
      interceptor_(interceptor),
      attachment_(attachment),
      managed_(managed) {
  std::latch started(1);  // see PumpThreads
  std::thread([&] {
    started.count_down();
    verb_thread();
  }).detach();
  started.wait();
}

template <>
Bytes Requests::handle<Code::kInit>(ByteReader& body, Frame&) {
  gate_.turn_away();
  return result(tpm_.init(body.u32()));
}

template <>
Bytes Requests::handle<Code::kStop>(ByteReader&, Frame&) {
  gate_.turn_away();
  return result(tpm_.stop());
}

// The process ends later, with the channel.
template <>
Bytes Requests::handle<Code::kShutdown>(ByteReader& body, Frame& frame) {
  interceptor_.turn_away();
  return handle<Code::kStop>(body, frame);
}

template <>
Bytes Requests::handle<Code::kGetTpmestablished>(ByteReader&, Frame&) {
  uint8_t bit = 0;
  if (TpmResult error = tpm_.get_established(bit)) return result(error);
  return ByteWriter().u32(kTpmSuccess).u8(bit).u8(0).u16(0).take();
}

template <>
Bytes Requests::handle<Code::kSetLocality>(ByteReader& body, Frame&) {
  return result(tpm_.set_locality(body.u8()));
}

template <>
Bytes Requests::handle<Code::kHashStart>(ByteReader&, Frame&) {
  return result(tpm_.hash_start());
}

template <>
Bytes Requests::handle<Code::kHashData>(ByteReader& body, Frame&) {
  uint32_t length = body.u32();
  if (length != body.remaining()) return result(kTpmBadParameter);
  return result(tpm_.hash_data(body.bytes(length)));
}

template <>
Bytes Requests::handle<Code::kHashEnd>(ByteReader&, Frame&) {
  return result(tpm_.hash_end());
}

template <>
Bytes Requests::handle<Code::kCancelTpmCmd>(ByteReader&, Frame&) {
  return result(tpm_.cancel());
}

template <>
Bytes Requests::handle<Code::kStoreVolatile>(ByteReader&, Frame&) {
  return result(tpm_.store_volatile());
}

template <>
Bytes Requests::handle<Code::kResetTpmestablished>(ByteReader& body, Frame&) {
  return result(tpm_.reset_established(body.u8()));
}

template <>
Bytes Requests::handle<Code::kGetStateblob>(ByteReader& body, Frame&) {
  uint32_t flags = body.u32();
  uint32_t type = body.u32();
  uint32_t offset = body.u32();
  Bytes blob;
  bool encrypted = false;
  if (TpmResult error = tpm_.get_state_blob(type, flags & wire::kPtmStateFlagDecrypted, blob, encrypted))
    return result(error);
  ByteView rest = offset < blob.size() ? ByteView(blob).subspan(offset) : ByteView{};
  ByteWriter reply;
  reply.u32(kTpmSuccess)
      .u32(encrypted ? wire::kPtmStateFlagEncrypted : 0)
      .u32(static_cast<uint32_t>(blob.size()));
  return reply.u32(static_cast<uint32_t>(rest.size())).bytes(rest).take();
}

template <>
Bytes Requests::handle<Code::kSetStateblob>(ByteReader& body, Frame&) {
  uint32_t flags = body.u32();
  uint32_t type = body.u32();
  uint32_t length = body.u32();
  if (length != body.remaining()) return result(kTpmBadParameter);
  return result(tpm_.set_state_blob(type, flags & wire::kPtmStateFlagEncrypted, body.bytes(length)));
}

template <>
Bytes Requests::handle<Code::kGetConfig>(ByteReader&, Frame&) {
  uint32_t flags = 0;
  if (tpm_.has_key(KeySlot::kFile)) flags |= wire::kPtmConfigFlagFileKey;
  if (tpm_.has_key(KeySlot::kMigration)) flags |= wire::kPtmConfigFlagMigrationKey;
  return ByteWriter().u32(kTpmSuccess).u32(flags).take();
}

template <>
Bytes Requests::handle<Code::kSetBuffersize>(ByteReader& body, Frame&) {
  Tpm::BufferSizes sizes{};
  if (TpmResult error = tpm_.set_buffer_size(body.u32(), sizes)) return result(error);
  return ByteWriter().u32(kTpmSuccess).u32(sizes.current).u32(sizes.min).u32(sizes.max).take();
}

template <>
Bytes Requests::handle<Code::kGetInfo>(ByteReader& body, Frame&) {
  uint64_t flags = body.u64();
  uint32_t offset = body.u32();
  std::string text = tpm_.info(flags);
  if (text.empty()) return result(kTpmSize);
  if (offset >= text.size()) return result(kTpmBadParameter);
  uint32_t total = static_cast<uint32_t>(text.size() + 1);
  ByteWriter reply;
  reply.u32(kTpmSuccess).u32(total).u32(total - offset);
  return reply.text(std::string_view(text).substr(offset)).u8(0).take();
}

template <>
Bytes Requests::handle<Code::kAttach>(ByteReader& body, Frame& frame) {
  uint32_t kind = body.u32();
  uint32_t flags = body.u32();
  const bool beside = kind == static_cast<uint32_t>(wire::AttachKind::kManagedCuse);
  if (beside && !managed_) return result(kTpmBadParameter);
  Attachment& attachment = beside ? *managed_ : attachment_;
  return result(attachment.attach(kind, flags, std::move(frame.fds[0]), std::move(frame.fds[1])));
}

template <>
Bytes Requests::handle<Code::kProcess>(ByteReader& body, Frame&) {
  uint8_t locality = body.u8();
  bool untold = body.u8() != 0;
  body.skip(2);
  uint32_t length = body.u32();
  if (length != body.remaining()) return result(kTpmBadParameter);
  std::optional<uint8_t> override_locality;
  if (locality != wire::kLocalityCurrent) {
    if (locality > wire::kHighestLocality) return result(kTpmBadLocality);
    override_locality = locality;
  }
  ByteView request = body.bytes(length);
  Bytes command(request.begin(), request.end());
  ByteView response = tpm_.process(command, process_buffer_,
                                   {.short_code = command_size_code(tpm_.version()),
                                    .own = true,
                                    .untold = untold,
                                    .locality = override_locality});
  ByteWriter reply;
  reply.u32(kTpmSuccess).u32(static_cast<uint32_t>(response.size())).bytes(response);
  return reply.take();
}

template <>
Bytes Requests::handle<Code::kSetRoute>(ByteReader& body, Frame&) {
  uint32_t route = body.u32();
  if (route > static_cast<uint32_t>(wire::Route::kSupervisor)) return result(kTpmBadParameter);
  attachment_.set_route(static_cast<wire::Route>(route));
  return result(kTpmSuccess);
}

template <>
Bytes Requests::handle<Code::kSetKey>(ByteReader& body, Frame&) {
  uint32_t which = body.u32();
  uint32_t length = body.u32();
  if (which > static_cast<uint32_t>(KeySlot::kMigration) || length != body.remaining())
    return result(kTpmBadParameter);
  ByteView key = body.bytes(length);
  return result(tpm_.set_key(static_cast<KeySlot>(which), key));
}

template <>
Bytes Requests::handle<Code::kSetProfile>(ByteReader& body, Frame&) {
  uint32_t length = body.u32();
  if (length == 0 || length != body.remaining()) return result(kTpmBadParameter);
  ByteView json = body.bytes(length);
  return result(tpm_.set_profile(std::string(json.begin(), json.end())));
}

template <>
Bytes Requests::handle<Code::kCheckCrypto>(ByteReader&, Frame&) {
  return ByteWriter().u32(kTpmSuccess).u32(refused_crypto()).take();
}

template <>
Bytes Requests::handle<Code::kSetStorage>(ByteReader& body, Frame&) {
  bool locked = body.u32() != 0;
  // Data commands wait before anything is held back, and continue after it has reached the store.
  if (!locked) gate_.set_locked(false);
  if (TpmResult error = tpm_.set_storage_locked(locked)) return result(error);
  if (locked) gate_.set_locked(true);
  return result(kTpmSuccess);
}

template <>
Bytes Requests::handle<Code::kPeekState>(ByteReader& body, Frame&) {
  uint32_t size_bytes = 0;
  if (TpmResult error = tpm_.peek_state(body.u32(), size_bytes)) return result(error);
  return ByteWriter().u32(kTpmSuccess).u32(size_bytes).take();
}

template <>
Bytes Requests::handle<Code::kResume>(ByteReader&, Frame&) {
  if (TpmResult error = tpm_.resume()) return result(error);
  return ByteWriter().u32(kTpmSuccess).u32(tpm_.running()).take();
}

// The client that a listener has accepted goes along with the reply.
template <>
Bytes Requests::handle<Code::kHandOver>(ByteReader&, Frame& frame) {
  // A command may be waiting for the storage, and would be lost.
  if (!gate_.locked()) return result(kTpmBadOrdinal);
  frame.reply_fd = attachment_.hand_over();
  if (managed_) managed_->hand_over();
  return result(tpm_.hand_over());
}

template <>
Bytes Requests::handle<Code::kIntercept>(ByteReader& body, Frame&) {
  interceptor_.set_on(body.u32() != 0);
  return result(kTpmSuccess);
}

template <>
Bytes Requests::handle<Code::kRespond>(ByteReader& body, Frame&) {
  uint32_t number = body.u32();
  uint32_t verdict = body.u32();
  uint32_t error = body.u32();
  uint32_t length = body.u32();
  if (length != body.remaining() || verdict > static_cast<uint32_t>(wire::Verdict::kErrno))
    return result(kTpmBadParameter);
  ByteView bytes = body.bytes(length);
  bool waits = interceptor_.respond(number, {.verdict = static_cast<wire::Verdict>(verdict),
                                             .error = static_cast<int>(error),
                                             .bytes = Bytes(bytes.begin(), bytes.end())});
  return result(waits ? kTpmSuccess : kTpmBadParameter);
}

template <>
Bytes Requests::handle<Code::kCutPower>(ByteReader&, Frame&) {
  gate_.turn_away();
  return result(tpm_.cut_power());
}

template <>
Bytes Requests::handle<Code::kDetach>(ByteReader&, Frame&) {
  attachment_.hand_over();
  if (managed_) managed_->hand_over();
  return result(kTpmSuccess);
}

// ---- Which request, and on which thread. Here, because every handle() must be declared before.

std::span<const Requests::Row> Requests::rows() {
  static constexpr auto kRows = []<size_t... i>(std::index_sequence<i...>) {
    return std::array{Row{wire::kRequests[i], &Requests::handle<wire::kRequests[i].code>}...};
  }
  (std::make_index_sequence<std::size(wire::kRequests)>{});
  return kRows;
}

const Requests::Row* Requests::find(uint32_t code) {
  for (const Row& row : rows())
    if (static_cast<uint32_t>(row.rule.code) == code) return &row;
  return nullptr;
}

bool Requests::is_urgent(const wire::Request& rule, const Frame& frame) {
  if (rule.urgent) return true;
  // Only asking for the size; setting it has to wait for the TPM.
  return rule.code == Code::kSetBuffersize && frame.body.size() == 8 && load_be32(&frame.body[4]) == 0;
}

void Requests::run() {
  Frame frame;
  while (channel_.read(frame)) {
    if (frame.kind != wire::FrameKind::kRequest) continue;
    const Row* row = frame.body.size() >= 4 ? find(load_be32(frame.body.data())) : nullptr;
    if (!row || is_urgent(row->rule, frame)) {
      execute(frame);
      continue;
    }
    // A shut-down does not wait for a command to end by itself.
    if (row->rule.code == Code::kShutdown) tpm_.cancel();
    std::lock_guard lock(queue_mutex_);
    queue_.push_back(std::move(frame));
    frame = Frame();
    queue_changed_.notify_one();
  }
  std::lock_guard lock(queue_mutex_);
  queue_.clear();
}

void Requests::verb_thread() {
  std::unique_lock lock(queue_mutex_);
  while (true) {
    queue_changed_.wait(lock, [&] { return !queue_.empty(); });
    Frame frame = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    execute(frame);
    lock.lock();
  }
}

void Requests::execute(Frame& frame) {
  Bytes reply = answer(frame);
  channel_.reply(frame.id, reply, frame.reply_fd.get());
}

Bytes Requests::answer(Frame& frame) {
  ByteReader body(frame.body);
  const Row* row = find(body.u32());
  if (!row || body.failed()) return result(kTpmBadOrdinal);
  const wire::Request& rule = row->rule;
  if (rule.when == wire::When::kRunning && !tpm_.running()) return result(kTpmBadOrdinal);
  if (rule.when == wire::When::kStopped && tpm_.running()) return result(kTpmBadOrdinal);
  Bytes reply = body.remaining() < rule.min_body || body.remaining() > rule.max_body
                    ? result(kTpmBadParameter)
                    : (this->*row->handler)(body, frame);
  if (rule.code == Code::kSetKey) OPENSSL_cleanse(frame.body.data(), frame.body.size());
  return reply;
}

}  // namespace swtpm
