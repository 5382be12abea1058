// The TPM's non-volatile state: joins a store with the keys and the container format. It answers libtpms's
// callbacks and the state blob verbs; it does not know libtpms.
//
// Every method may be called from any thread.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "common/bytes.h"
#include "common/tpm_result.h"
#include "generated/contract.h"
#include "state/blob_crypto.h"
#include "state/store.h"

namespace swtpm {

class NvState {
 public:
  explicit NvState(std::unique_ptr<Store> store) : store_(std::move(store)) {}

  // kTpmBadKeyProperty: not 16 or 32 bytes.
  TpmResult set_key(KeySlot slot, ByteView key);
  // Does not wait for storage operations.
  bool has_key(KeySlot slot) const;
  // For the end of a process that runs no destructors; nothing can be stored or loaded afterwards.
  void wipe_keys();

  // The plain content of a blob. kTpmRetry: there is none. Any other error: it exists but cannot be used
  // (logged).
  TpmResult load(BlobType type, Bytes& plain);
  TpmResult store(BlobType type, ByteView plain);
  TpmResult erase(BlobType type, bool must_exist);
  TpmResult peek(BlobType type, uint32_t& size_bytes);

  // Wraps plain state for GET_STATEBLOB: encrypted with the file key unless `decrypted` is asked for, then
  // with the migration key if there is one.
  TpmResult wrap_state_blob(ByteView plain, bool decrypted, Bytes& out, bool& is_encrypted);

  // The reverse, for SET_STATEBLOB. An empty result means: clear this state. kTpmKeyNotFound: a needed key is
  // missing.
  TpmResult unwrap_state_blob(ByteView blob, const char* what, bool marked_encrypted, Bytes& plain);

  // Unlocked, nothing reaches the store: another process may own it. What the TPM stores meanwhile is held
  // back, is seen by load(), and is written on locking again. kTpmFail: writing it failed; it is still held
  // back.
  TpmResult set_locked(bool locked);

  // The TPM has been powered off: what it wanted to store while the storage was not ours is void.
  void power_off();

  // Never returns: has the store leave its files in order when nothing was stored for a while. For a thread
  // of its own.
  [[noreturn]] void rest_when_idle();

  // ---- Storage that fails. The permanent state, as the TPM has it when all is well, is kept here too, so
  // that a TPM can be set back to where it was before the command that failed;
  // docs/design/0003-failing-storage.md.

  // What follows is a command whose answer does not depend on its being stored: if that fails, it is done
  // later. For the thread that runs the command.
  void set_postponing(bool postponing) { postponing_.store(postponing, std::memory_order_relaxed); }

  // Whether something could not be stored, nor postponed, since the last call.
  bool take_failure();

  // Makes up for what failed or was postponed; does nothing if all is well.
  void settle();

  // The permanent state as the TPM has it, and a number that changes whenever it does.
  uint64_t permanent_number() const { return permanent_number_.load(std::memory_order_acquire); }
  Bytes permanent() const;

  // That is it from now on, whatever the store has; settle() makes the store agree.
  void restore_permanent(ByteView plain);

  // In between, load() gives the TPM as it was: the permanent state of the last success, and this volatile
  // state.
  void begin_restore(ByteView volatile_state);
  void end_restore();

  // Exchanges the permanent blob and its backup; see Store.
  TpmResult swap_backup();

 private:
  TpmResult load_from_store(BlobType type, Bytes& plain);
  TpmResult store_in_store(BlobType type, ByteView plain);
  TpmResult failed(BlobType type, std::optional<ByteView> plain, TpmResult result);
  void settle_locked();
  void set_permanent(ByteView plain);

  mutable std::mutex mutex_;
  std::condition_variable rest_due_;  // the store has begun to ask for it
  std::unique_ptr<Store> store_;
  Keys keys_;
  std::array<std::atomic<bool>, 2> has_key_{};  // by KeySlot
  bool locked_ = true;
  std::map<BlobType, std::optional<Bytes>> held_back_;  // no value: erased

  std::optional<Bytes> permanent_;  // since the last power-on: what the TPM's permanent state is
  std::atomic<uint64_t> permanent_number_{0};
  std::atomic<bool> in_doubt_{false};  // the store may have something else
  std::atomic<bool> failed_{false};
  std::atomic<bool> postponing_{false};
  std::optional<Bytes> restoring_;
};

}  // namespace swtpm
