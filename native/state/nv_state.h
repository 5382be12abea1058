// The TPM's state as libtpms's callbacks and the state blob verbs read and write it: joins a store with the
// keys and the container format. It does not know libtpms.
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
#include <set>
#include <string>

#include "common/bytes.h"
#include "common/tpm_result.h"
#include "generated/contract.h"
#include "state/blob_crypto.h"
#include "state/state_loss.h"
#include "state/store.h"

namespace swtpm {

class NvState {
 public:
  explicit NvState(std::unique_ptr<Store> store) : store_(std::move(store)), loss_(*store_) {}

  // kTpmBadKeyProperty: not 16 or 32 bytes.
  TpmResult set_key(KeySlot slot, ByteView key);
  // Does not wait for storage operations.
  bool has_key(KeySlot slot) const;
  // For a process that ends without running destructors. Nothing can be stored or loaded afterwards.
  void wipe_keys();

  // The plain content of a blob. kTpmRetry: there is none. Any other error: it exists but cannot be used
  // (logged).
  TpmResult load(BlobType type, Bytes& plain);
  TpmResult store(BlobType type, ByteView plain);
  TpmResult erase(BlobType type, bool must_exist);
  TpmResult peek(BlobType type, uint32_t& size_bytes);

  // The permanent state or the savestate of the TPM that runs, as it stored or loaded it last, whatever has
  // become of the store since. As load().
  TpmResult state_of_running(BlobType type, Bytes& plain);

  // State blobs, with the keys that are set; see state_blob.h.
  TpmResult wrap_state_blob(ByteView plain, bool decrypted, Bytes& out, bool& is_encrypted);
  TpmResult unwrap_state_blob(ByteView blob, const char* what, bool marked_encrypted, Bytes& plain);

  // While the storage is not locked, nothing reaches the store, because another process may use it. What the
  // TPM wants to store is held back: load() returns it, and set_locked(true) writes it. kTpmFail: writing it
  // failed; it is still held back.
  TpmResult set_locked(bool locked);

  // ---- A TPM that has lost its state must not start as another one; see state_loss.h. While it should have
  // a permanent state and has none, and for a volatile state that cannot be used, load() fails (logged).

  void begin_power_on(bool state_given);
  FoundVolatile found_volatile() const { return loss_.found_volatile(); }
  void report_refused_volatile() const;
  // If libtpms was given a permanent state: logs that libtpms refuses it. release: which, "0.9.2".
  void report_refused_permanent(const std::string& release) const;

  // libtpms has started.
  void powered_on();
  // This TPM has run, in another engine.
  void set_has_run();

  // Stores the permanent state again if the store has another one, or none: what was stored has been changed
  // or removed (logged). Does nothing if the storage was not locked meanwhile: then another TPM may have
  // stored.
  void secure_permanent();

  // The TPM has been powered off, or did not start: what was held back is discarded.
  void power_off();

  // Never returns: ends the store's journal whenever nothing has been stored for a while. Runs in a thread of
  // its own.
  [[noreturn]] void end_journal_when_idle();

  // ---- Storage that fails. A copy of the permanent state is kept in memory, so that the TPM can be rolled
  // back to before the command that could not be stored; see docs/design/0003-failing-storage.md.

  // While set, a permanent state that cannot be stored is no failure: write_back() stores it later. For
  // commands whose response does not depend on the store. Only the thread that runs the command calls it.
  void set_postponing(bool postponing) { postponing_.store(postponing, std::memory_order_relaxed); }

  // Whether something could not be stored since the last call, and was not postponed either.
  bool take_failure();

  // Stores the permanent state again if the store may have another one, because storing it failed or was
  // postponed. Does nothing otherwise.
  void write_back();

  // The TPM's permanent state, and a number that changes whenever the state does.
  uint64_t permanent_number() const { return permanent_number_.load(std::memory_order_acquire); }
  Bytes permanent() const;

  // Makes `plain` the permanent state, whatever the store has. write_back() makes the store agree.
  void restore_permanent(ByteView plain);

  // Between the two, load() returns what the TPM is to be restored from: the permanent state in memory and
  // this volatile state.
  void begin_restore(ByteView volatile_state);
  void end_restore();

  // Exchanges the permanent blob and its backup; see Store.
  TpmResult swap_backup();

 private:
  TpmResult load_from_store(BlobType type, Bytes& plain);
  TpmResult store_in_store(BlobType type, ByteView plain);
  TpmResult note_failure(BlobType type, std::optional<ByteView> plain, TpmResult result);
  void write_back_locked();
  void set_permanent(ByteView plain);
  TpmResult load_locked(BlobType type, Bytes& plain);
  TpmResult load_volatile(Bytes& plain);

  mutable std::mutex mutex_;
  std::condition_variable journal_begun_;
  std::unique_ptr<Store> store_;
  StateLoss loss_;
  Keys keys_;
  std::array<std::atomic<bool>, 2> has_key_{};  // by KeySlot
  bool locked_ = true;
  std::map<BlobType, std::optional<Bytes>> held_back_;  // no value: erased

  std::optional<Bytes> permanent_;  // the TPM's permanent state, from power-on to power-off
  std::atomic<uint64_t> permanent_number_{0};
  std::atomic<bool> store_may_differ_{false};  // from permanent_
  std::atomic<bool> failed_{false};
  std::atomic<bool> postponing_{false};
  std::set<std::string> failures_;  // logged since something could be stored
  std::optional<Bytes> restoring_;  // the volatile state to restore from

  // A blob of the TPM that runs, or that there is none.
  struct Known {
    TpmResult result;
    Bytes plain;
  };
  std::optional<Known> savestate_;  // from power-on to power-off
  bool store_is_ours_ = false;      // nothing else was allowed to store since permanent_ was loaded or stored
};

}  // namespace swtpm
