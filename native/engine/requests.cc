#include "engine/requests.h"

#include <openssl/crypto.h>

#include <latch>

#include "common/log.h"

namespace swtpm {
namespace {

constexpr size_t kAnySize = wire::kMaxBodySizeBytes;
constexpr size_t kMaxProfileBytes = 64 * 1024;

Bytes result(TpmResult code) {
  return ByteWriter().u32(code).take();
}

}  // namespace

// The bodies of SET_LOCALITY and RESET_TPMESTABLISHED may be as long as the union they lie in (QEMU sends
// that).
const Control::Verb Control::kVerbs[] = {
    {wire::Code::kInit, When::kAnyTime, Thread::kVerb, 4, 4, &Control::init},
    {wire::Code::kShutdown, When::kAnyTime, Thread::kVerb, 0, 0, &Control::stop},
    {wire::Code::kStop, When::kAnyTime, Thread::kVerb, 0, 0, &Control::stop},
    {wire::Code::kGetTpmEstablished, When::kRunning, Thread::kVerb, 0, 0, &Control::get_established},
    {wire::Code::kSetLocality, When::kAnyTime, Thread::kUrgent, 1, 4, &Control::set_locality},
    {wire::Code::kHashStart, When::kRunning, Thread::kVerb, 0, 0, &Control::hash_start},
    {wire::Code::kHashData, When::kRunning, Thread::kVerb, 4, kAnySize, &Control::hash_data},
    {wire::Code::kHashEnd, When::kRunning, Thread::kVerb, 0, 0, &Control::hash_end},
    {wire::Code::kCancelTpmCmd, When::kRunning, Thread::kUrgent, 0, 0, &Control::cancel},
    {wire::Code::kStoreVolatile, When::kRunning, Thread::kVerb, 0, 0, &Control::store_volatile},
    {wire::Code::kResetTpmEstablished, When::kRunning, Thread::kVerb, 1, 4, &Control::reset_established},
    {wire::Code::kGetStateblob, When::kRunning, Thread::kVerb, 12, 12, &Control::get_stateblob},
    {wire::Code::kSetStateblob, When::kStopped, Thread::kVerb, 12, kAnySize, &Control::set_stateblob},
    {wire::Code::kGetConfig, When::kAnyTime, Thread::kUrgent, 0, 0, &Control::get_config},
    {wire::Code::kSetBuffersize, When::kAnyTime, Thread::kVerb, 4, 4, &Control::set_buffersize},
    {wire::Code::kGetInfo, When::kAnyTime, Thread::kVerb, 16, 16, &Control::get_info},
    {wire::Code::kAttach, When::kAnyTime, Thread::kVerb, 8, 8, &Control::attach},
    {wire::Code::kDetach, When::kAnyTime, Thread::kVerb, 0, 0, &Control::detach},
    {wire::Code::kProcess, When::kAnyTime, Thread::kVerb, 8, kAnySize, &Control::process},
    {wire::Code::kSetRoute, When::kAnyTime, Thread::kUrgent, 4, 4, &Control::set_route},
    {wire::Code::kSetKey, When::kStopped, Thread::kVerb, 8, 8 + 32, &Control::set_key},
    {wire::Code::kSetStorage, When::kAnyTime, Thread::kUrgent, 4, 4, &Control::set_storage},
    {wire::Code::kSetProfile, When::kStopped, Thread::kVerb, 4, kMaxProfileBytes, &Control::set_profile},
    {wire::Code::kPeekState, When::kAnyTime, Thread::kVerb, 4, 4, &Control::peek_state},
    {wire::Code::kResume, When::kAnyTime, Thread::kVerb, 0, 0, &Control::resume},
    {wire::Code::kHandOver, When::kAnyTime, Thread::kVerb, 0, 0, &Control::hand_over},
};

Control::Control(Channel& channel, Tpm& tpm, NvState& state, Heritage& heritage, StorageGate& gate,
                 Attachment& attachment)
    : channel_(channel), tpm_(tpm), state_(state), heritage_(heritage), gate_(gate), attachment_(attachment) {
  std::latch started(1);  // see PumpThreads
  std::thread([&] {
    started.count_down();
    verb_thread();
  }).detach();
  started.wait();
}

const Control::Verb* Control::find(uint32_t code) {
  for (const Verb& verb : kVerbs)
    if (static_cast<uint32_t>(verb.code) == code) return &verb;
  return nullptr;
}

bool Control::is_urgent(const Verb& verb, const Frame& frame) {
  if (verb.thread == Thread::kUrgent) return true;
  // Only asking for the size; setting it has to wait for the TPM.
  return verb.code == wire::Code::kSetBuffersize && frame.body.size() == 8 && load_be32(&frame.body[4]) == 0;
}

void Control::run() {
  Frame frame;
  while (channel_.read(frame)) {
    if (frame.kind != wire::FrameKind::kRequest) continue;
    const Verb* verb = frame.body.size() >= 4 ? find(load_be32(frame.body.data())) : nullptr;
    if (!verb || is_urgent(*verb, frame)) {
      execute(frame);
      continue;
    }
    // A shut-down does not wait for a command to end by itself.
    if (verb->code == wire::Code::kShutdown) tpm_.cancel();
    std::lock_guard lock(queue_mutex_);
    queue_.push_back(std::move(frame));
    frame = Frame();
    queue_changed_.notify_one();
  }
  std::lock_guard lock(queue_mutex_);
  queue_.clear();
}

void Control::verb_thread() {
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

void Control::execute(Frame& frame) {
  Bytes reply = answer(frame);
  channel_.reply(frame.id, reply, frame.reply_fd.get());
}

Bytes Control::answer(Frame& frame) {
  ByteReader body(frame.body);
  const Verb* verb = find(body.u32());
  if (!verb || body.failed()) return result(kTpmBadOrdinal);
  if (verb->when == When::kRunning && !tpm_.running()) return result(kTpmBadOrdinal);
  if (verb->when == When::kStopped && tpm_.running()) return result(kTpmBadOrdinal);
  Bytes reply = body.remaining() < verb->min_body || body.remaining() > verb->max_body
                    ? result(kTpmBadParameter)
                    : (this->*verb->handler)(body, frame);
  if (verb->code == wire::Code::kSetKey) OPENSSL_cleanse(frame.body.data(), frame.body.size());
  return reply;
}

Bytes Control::init(ByteReader& body, Frame&) {
  gate_.turn_away();
  return result(tpm_.init(body.u32()));
}

// STOP and SHUTDOWN alike: the end of the process comes with the end of the channel.
Bytes Control::stop(ByteReader&, Frame&) {
  gate_.turn_away();
  return result(tpm_.stop());
}

Bytes Control::get_established(ByteReader&, Frame&) {
  uint8_t bit = 0;
  if (TpmResult error = tpm_.get_established(bit)) return result(error);
  return ByteWriter().u32(kTpmSuccess).u8(bit).u8(0).u16(0).take();
}

Bytes Control::set_locality(ByteReader& body, Frame&) {
  return result(tpm_.set_locality(body.u8()));
}

Bytes Control::hash_start(ByteReader&, Frame&) {
  return result(tpm_.hash_start());
}

Bytes Control::hash_data(ByteReader& body, Frame&) {
  uint32_t length = body.u32();
  if (length != body.remaining()) return result(kTpmBadParameter);
  return result(tpm_.hash_data(body.bytes(length)));
}

Bytes Control::hash_end(ByteReader&, Frame&) {
  return result(tpm_.hash_end());
}

Bytes Control::cancel(ByteReader&, Frame&) {
  return result(tpm_.cancel());
}

Bytes Control::store_volatile(ByteReader&, Frame&) {
  return result(tpm_.store_volatile());
}

Bytes Control::reset_established(ByteReader& body, Frame&) {
  return result(tpm_.reset_established(body.u8()));
}

Bytes Control::get_stateblob(ByteReader& body, Frame&) {
  uint32_t flags = body.u32();
  uint32_t type = body.u32();
  uint32_t offset = body.u32();
  Bytes blob;
  bool encrypted = false;
  if (TpmResult error = tpm_.get_state_blob(type, flags & wire::kStateDecrypted, blob, encrypted))
    return result(error);
  ByteView rest = offset < blob.size() ? ByteView(blob).subspan(offset) : ByteView{};
  ByteWriter reply;
  reply.u32(kTpmSuccess).u32(encrypted ? wire::kStateEncrypted : 0).u32(static_cast<uint32_t>(blob.size()));
  return reply.u32(static_cast<uint32_t>(rest.size())).bytes(rest).take();
}

Bytes Control::set_stateblob(ByteReader& body, Frame&) {
  uint32_t flags = body.u32();
  uint32_t type = body.u32();
  uint32_t length = body.u32();
  if (length != body.remaining()) return result(kTpmBadParameter);
  return result(tpm_.set_state_blob(type, flags & wire::kStateEncrypted, body.bytes(length)));
}

Bytes Control::get_config(ByteReader&, Frame&) {
  uint32_t flags = 0;
  if (state_.has_key(NvState::KeySlot::kFile)) flags |= wire::kConfigFileKey;
  if (state_.has_key(NvState::KeySlot::kMigration)) flags |= wire::kConfigMigrationKey;
  return ByteWriter().u32(kTpmSuccess).u32(flags).take();
}

Bytes Control::set_buffersize(ByteReader& body, Frame&) {
  Tpm::BufferSizes sizes{};
  if (TpmResult error = tpm_.set_buffer_size(body.u32(), sizes)) return result(error);
  return ByteWriter().u32(kTpmSuccess).u32(sizes.current).u32(sizes.min).u32(sizes.max).take();
}

Bytes Control::get_info(ByteReader& body, Frame&) {
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

Bytes Control::attach(ByteReader& body, Frame& frame) {
  uint32_t kind = body.u32();
  uint32_t flags = body.u32();
  return result(attachment_.attach(kind, flags, std::move(frame.fds[0]), std::move(frame.fds[1])));
}

Bytes Control::detach(ByteReader&, Frame&) {
  return result(attachment_.detach());
}

Bytes Control::process(ByteReader& body, Frame&) {
  uint8_t locality = body.u8();
  body.skip(3);
  uint32_t length = body.u32();
  if (length != body.remaining()) return result(kTpmBadParameter);
  std::optional<uint8_t> override_locality;
  if (locality != wire::kProcessCurrentLocality) {
    if (locality > 4) return result(kTpmBadLocality);
    override_locality = locality;
  }
  ByteView request = body.bytes(length);
  Bytes command(request.begin(), request.end());
  ByteView response =
      tpm_.process(command, process_buffer_,
                   {.short_code = command_size_code(tpm_.version()), .locality = override_locality});
  ByteWriter reply;
  reply.u32(kTpmSuccess).u32(static_cast<uint32_t>(response.size())).bytes(response);
  return reply.take();
}

Bytes Control::set_route(ByteReader& body, Frame&) {
  uint32_t route = body.u32();
  if (route > static_cast<uint32_t>(wire::Route::kSupervisor)) return result(kTpmBadParameter);
  attachment_.set_route(static_cast<wire::Route>(route));
  return result(kTpmSuccess);
}

Bytes Control::set_key(ByteReader& body, Frame&) {
  uint32_t which = body.u32();
  uint32_t length = body.u32();
  if (which > 1 || length != body.remaining()) return result(kTpmBadParameter);
  ByteView key = body.bytes(length);
  if (TpmResult error = state_.set_key(static_cast<NvState::KeySlot>(which), key)) return result(error);
  heritage_.set_key(static_cast<Heritage::KeySlot>(which), key);
  return result(kTpmSuccess);
}

Bytes Control::set_profile(ByteReader& body, Frame&) {
  uint32_t length = body.u32();
  if (length == 0 || length != body.remaining()) return result(kTpmBadParameter);
  ByteView json = body.bytes(length);
  return result(tpm_.set_profile(std::string(json.begin(), json.end())));
}

Bytes Control::set_storage(ByteReader& body, Frame&) {
  bool locked = body.u32() != 0;
  // Commands are stopped before anything is held back, and go on after it has reached the store.
  if (!locked) gate_.set_locked(false);
  if (TpmResult error = state_.set_locked(locked)) return result(error);
  if (locked) gate_.set_locked(true);
  return result(kTpmSuccess);
}

Bytes Control::peek_state(ByteReader& body, Frame&) {
  auto type = blob_type(body.u32());
  if (!type) return result(kTpmBadParameter);
  uint32_t size_bytes = 0;
  if (TpmResult error = state_.peek(*type, size_bytes)) return result(error);
  return ByteWriter().u32(kTpmSuccess).u32(size_bytes).take();
}

Bytes Control::resume(ByteReader&, Frame&) {
  if (TpmResult error = tpm_.resume()) return result(error);
  return ByteWriter().u32(kTpmSuccess).u32(tpm_.running()).take();
}

// The client that a listener has accepted goes along with the reply.
Bytes Control::hand_over(ByteReader&, Frame& frame) {
  // A command waits for the storage: it would be lost.
  if (!gate_.locked()) return result(kTpmBadOrdinal);
  frame.reply_fd = attachment_.hand_over();
  return result(tpm_.hand_over());
}

}  // namespace swtpm
