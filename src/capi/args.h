// Checks of arguments, shared by every object of the interface. Handles first, then fork and
// closing, then the rest, so that a call in a fork child or on a closed database says so whatever
// else is wrong with it.
// Threads: functions of their arguments; a Call or Use is left by the thread that entered it.
#pragma once

#include <cstring>

#include "capi/error.h"
#include "capi/handle.h"
#include "capi/lifecycle.h"

namespace kist::capi {

[[gnu::cold, gnu::noinline]] kist_rc FailHandle(kist_err* err, const char* kind) noexcept;
[[gnu::cold, gnu::noinline]] kist_rc FailForked(kist_err* err) noexcept;
[[gnu::cold, gnu::noinline]] kist_rc FailClosed(kist_err* err) noexcept;
[[gnu::cold, gnu::noinline]] kist_rc FailDropped(kist_err* err) noexcept;
[[gnu::cold, gnu::noinline]] kist_rc FailNull(kist_err* err, const char* what) noexcept;
[[gnu::cold, gnu::noinline]] kist_rc FailLimit(kist_err* err, int32_t detail, const char* what,
                                               size_t size, size_t limit) noexcept;

inline bool Likely(bool b) { return __builtin_expect(b, 1); }
inline bool Unlikely(bool b) { return __builtin_expect(b, 0); }

// ---- handles

// Of any kind of handle, whatever the caller took it for: each begins with its Handle.
inline bool Is(const void* handle, Magic magic) {
  return Likely(handle != nullptr) &&
         Likely(static_cast<const Handle*>(handle)->magic.load(std::memory_order_relaxed) == magic);
}

inline kist_rc CheckDb(const kist_db* db, kist_err* err) {
  if (!Is(db, kDbMagic)) return FailHandle(err, "database");
  if (Unlikely(InForkChild(db))) return FailForked(err);
  return KIST_OK;
}

inline kist_rc CheckKeyspace(const kist_keyspace* ks, kist_err* err) {
  if (!Is(ks, kKeyspaceMagic)) return FailHandle(err, "keyspace");
  if (Unlikely(InForkChild(ks->link.db))) return FailForked(err);
  return KIST_OK;
}

// A call into the engine that is no point read: kist_close waits for it.
class Call {
 public:
  Call(kist_db* db, kist_err* err) {
    rc_ = CheckDb(db, err);
    if (rc_ == KIST_OK) Enter(db, err);
  }
  Call(kist_keyspace* ks, kist_err* err) {
    rc_ = CheckKeyspace(ks, err);
    if (rc_ != KIST_OK) return;
    Enter(ks->link.db, err);
    if (rc_ == KIST_OK && Unlikely(ks->keyspace->dropped())) rc_ = FailDropped(err);
  }
  // Of a child whose handle and process were checked: it works on after its database was released.
  Call(const Link& child, kist_err* err) { Enter(child.db, err); }
  ~Call() {
    if (slot_ != nullptr) Gate::Leave(slot_);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  kist_rc rc() const { return rc_; }
  // Different from call to call, mostly; where rc() is KIST_OK.
  uint64_t number() const {
    const uint64_t n = slot_->calls.load(std::memory_order_relaxed) + 1;
    slot_->calls.store(n, std::memory_order_relaxed);
    return n;
  }

 private:
  void Enter(kist_db* db, kist_err* err) {
    slot_ = db->gate.Enter();
    // Pairs with the store in lifecycle.cc.
    if (Unlikely(db->closed.load(std::memory_order_seq_cst))) rc_ = FailClosed(err);
  }
  kist_rc rc_ = KIST_OK;
  Gate::Slot* slot_ = nullptr;
};

// A single-user handle during a call; rc() is KIST_E_MISUSE where another thread is inside,
// KIST_E_CLOSED where it was revoked.
class Use {
 public:
  Use(std::atomic<uint32_t>* state, kist_err* err) : state_(state) {
    uint32_t idle = kIdle;
    // Acquire pairs with the release of the last user.
    if (Likely(state->compare_exchange_strong(idle, kBusy, std::memory_order_acquire))) return;
    state_ = nullptr;
    rc_ = FailBusy(idle, err);
  }
  ~Use() {
    if (state_ != nullptr) state_->store(kIdle, std::memory_order_release);
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  kist_rc rc() const { return rc_; }
  // The handle is about to be freed: no state to go back to.
  void Keep() { state_ = nullptr; }

 private:
  static kist_rc FailBusy(uint32_t state, kist_err* err) noexcept;
  std::atomic<uint32_t>* state_;
  kist_rc rc_ = KIST_OK;
};

// ---- bytes

inline Slice Bytes(const void* data, size_t size) {
  return Slice(data != nullptr ? static_cast<const char*>(data) : "", size);
}

// Keys up to the database's limit; `more` is 1 for range ends, bounds and seek keys.
inline kist_rc CheckKey(const kist_db* db, const void* key, size_t size, size_t more, kist_err* err,
                        const char* what = "key") {
  if (Unlikely(key == nullptr && size != 0)) return FailNull(err, what);
  if (Unlikely(size > db->max_key + more)) {
    return FailLimit(err, KIST_D_KEY_SIZE, what, size, db->max_key + more);
  }
  return KIST_OK;
}

inline kist_rc CheckValue(const kist_db* db, const void* value, size_t size, kist_err* err) {
  if (Unlikely(value == nullptr && size != 0)) return FailNull(err, "value");
  if (Unlikely(size > db->max_value)) {
    return FailLimit(err, KIST_D_VALUE_SIZE, "value", size, db->max_value);
  }
  return KIST_OK;
}

// [begin, end), an empty end reaching past the last key.
kist_rc CheckRange(const kist_db* db, const void* begin, size_t begin_len, const void* end,
                   size_t end_len, kist_err* err);
// A name of 1 to 255 bytes.
kist_rc CheckName(const char* name, kist_err* err);

// ---- structs

// Size and the bytes beyond what this library knows, of an input struct that begins with its size.
kist_rc CheckStruct(const void* given, size_t known, const char* what, kist_err* err);

struct ReadArgs {
  const Snapshot* snapshot = nullptr;
  kist_txn* txn = nullptr;  // to be taken by Use before it is read through
  bool for_update = false;
  bool fill_cache = true;
};
kist_rc CheckReadOptions(const kist_db* db, const kist_read_options* ro, ReadArgs* args,
                         kist_err* err);
// The members that reads and iterators share.
kist_rc CheckReader(const kist_db* db, uint32_t flags, const kist_snapshot* snapshot, kist_txn* txn,
                    ReadArgs* args, kist_err* err);

struct WriteArgs {
  Durability durability = Durability::kDefault;
  int64_t ttl_ms = 0;
};
// takes_ttl: kist_put alone.
kist_rc CheckWriteOptions(const kist_write_options* wo, bool takes_ttl, WriteArgs* args,
                          kist_err* err);

// A job's control; `job` must outlive it.
kist_rc CheckJob(const kist_job* job, JobControl* control, kist_err* err);

// ---- outputs

template <typename T>
inline void SetOut(T* out, T value) {
  if (out != nullptr) *out = value;
}

// An output struct that begins with its size: what fits it, the rest of it zero.
kist_rc FillStruct(const void* filled, size_t known, void* out);

// Text as snprintf gives it: *len_out the whole length, NUL-terminated where cap > 0.
kist_rc CopyText(Slice text, char* buf, size_t cap, size_t* len_out);
// Bytes: *len_out the whole length, the first cap of them.
inline kist_rc CopyBytes(Slice bytes, void* buf, size_t cap, size_t* len_out) {
  SetOut(len_out, bytes.size());
  const size_t n = bytes.size() < cap ? bytes.size() : cap;
  if (n != 0) std::memcpy(buf, bytes.data(), n);
  return bytes.size() <= cap ? KIST_OK : KIST_TRUNCATED;
}

}  // namespace kist::capi
