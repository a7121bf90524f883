// Snapshots and iterators. kist_iter's own position is the engine iterator's, with three exceptions
// that its members say: `fresh` (a seek has just found the current entry), `ahead` (chunk looked at
// an entry for which there was no room: the engine stands one step further) and `unpositioned` (the
// engine stands somewhere, the iterator nowhere yet).
// Invariants:
//  1. An error of reading is sticky: the engine's status, or `broken` where an exception ended a
//     step.
//  2. What kist_iter_entry and _entries gave stays readable until the iterator's next call, also
//     where its database is closed meanwhile: revoking leaves the engine's iterator in place until
//     it is freed.
// Threads: an iterator has one user at a time; a snapshot any number.
#include <cstring>
#include <optional>

#include "capi/args.h"
#include "db/op_stats.h"
#include "util/coding.h"

namespace kist::capi {
namespace {

using Position = DbIterator::Position;

constexpr char kEmpty[] = "";
constexpr size_t kChunkHeader = 8;
// Steps of an iterator are counted for the database so many at a time.
constexpr uint64_t kStepsAtOnce = 1024;
// The numbers of one iterator's seeks begin that far from the next one's.
constexpr uint64_t kSeekNumbers = 1009;

// ---- snapshots

kist_rc SnapshotNew(kist_db* db, kist_snapshot** snapshot_out, kist_err* err) {
  SetOut<kist_snapshot*>(snapshot_out, nullptr);
  Call call(db, err);
  KIST_CHECKED(call.rc());
  if (snapshot_out == nullptr) return FailNull(err, "snapshot_out");
  auto handle = std::make_unique<kist_snapshot>();
  auto made = db->engine->NewSnapshot();
  if (!made.ok()) return FailWith(err, made.status());
  OpStats::Count(&db->ops->snapshots);
  handle->snapshot = made.Take();
  KIST_CHECKED(Register(db, &handle->link, err));
  *snapshot_out = handle.release();
  return KIST_OK;
}

void SnapshotFree(kist_snapshot* snapshot) {
  if (!Is(snapshot, kSnapshotMagic)) return;
  if (InForkChild(snapshot->link.db)) {
    static_cast<void>(snapshot->snapshot.release());
  }
  snapshot->snapshot.reset();
  Unregister(&snapshot->link);
  delete snapshot;
}

// ---- making and freeing iterators

kist_rc CheckIterOptions(const kist_db* db, const kist_iter_options* io, IterOptions* options,
                         kist_txn** txn, kist_err* err) {
  KIST_CHECKED(CheckStruct(io, sizeof *io, "kist_iter_options", err));
  ReadArgs args;
  KIST_CHECKED(
      CheckReader(db, io->flags & ~KIST_ITER_KEYS_ONLY, io->snapshot, io->txn, &args, err));
  KIST_CHECKED(CheckKey(db, io->lower.data, io->lower.len, 1, err, "lower"));
  KIST_CHECKED(CheckKey(db, io->upper.data, io->upper.len, 1, err, "upper"));
  KIST_CHECKED(CheckKey(db, io->prefix.data, io->prefix.len, 1, err, "prefix"));
  *txn = args.txn;
  options->snapshot = args.snapshot;
  options->fill_cache = args.fill_cache;
  options->for_update = args.for_update;
  options->keys_only = (io->flags & KIST_ITER_KEYS_ONLY) != 0;
  options->lower = Bytes(io->lower.data, io->lower.len);
  options->upper = Bytes(io->upper.data, io->upper.len);
  options->has_upper = io->upper.len != 0;
  options->prefix = Bytes(io->prefix.data, io->prefix.len);
  return KIST_OK;
}

kist_rc IterNew(kist_keyspace* ks, const kist_iter_options* io, kist_iter** iter_out,
                kist_err* err) {
  SetOut<kist_iter*>(iter_out, nullptr);
  Call call(ks, err);
  KIST_CHECKED(call.rc());
  kist_db* db = ks->link.db;
  IterOptions options;
  kist_txn* txn = nullptr;
  if (io != nullptr) KIST_CHECKED(CheckIterOptions(db, io, &options, &txn, err));
  if (iter_out == nullptr) return FailNull(err, "iter_out");
  auto handle = std::make_unique<kist_iter>();
  std::optional<Use> use;
  if (txn != nullptr) {
    use.emplace(txn->state.get(), err);
    KIST_CHECKED(use->rc());
    if (txn->ended)
      return Fail(err, KIST_E_MISUSE, {KIST_D_STATE}, "the transaction was committed");
  }
  auto made = txn != nullptr ? txn->txn->NewIterator(ks->keyspace.get(), options)
                             : db->engine->NewIterator(ks->keyspace.get(), options);
  if (!made.ok()) return FailWith(err, made.status());
  handle->it = made.Take();
  handle->keyspace = ks->keyspace;
  handle->keys_only = options.keys_only;
  if (txn != nullptr) handle->txn_state = txn->state;
  handle->seeks = db->ops->iterators.fetch_add(1, std::memory_order_relaxed) * kSeekNumbers;
  handle->link.state = &handle->state;
  KIST_CHECKED(Register(db, &handle->link, err));
  *iter_out = handle.release();
  return KIST_OK;
}

inline void CountSteps(kist_iter* iter, uint64_t steps) {
  iter->steps += steps;
  if (Likely(iter->steps < kStepsAtOnce)) return;
  OpStats::Count(&iter->link.db->ops->steps, iter->steps);
  iter->steps = 0;
}

// The transaction of an iterator, where it has one that was not freed, during a call.
class TxnUse {
 public:
  TxnUse() = default;
  ~TxnUse() {
    if (Unlikely(state_ != nullptr)) state_->store(kIdle, std::memory_order_release);
  }
  TxnUse(const TxnUse&) = delete;
  TxnUse& operator=(const TxnUse&) = delete;
  // False where another thread is inside.
  bool Take(const kist_iter* iter) {
    std::atomic<uint32_t>* state = iter->txn_state.get();
    if (Likely(state == nullptr)) return true;
    uint32_t found = kIdle;
    // Acquire pairs with the release of the last user.
    if (state->compare_exchange_strong(found, kBusy, std::memory_order_acquire)) state_ = state;
    return found != kBusy;
  }

 private:
  std::atomic<uint32_t>* state_ = nullptr;
};

void IterFree(kist_iter* iter) {
  if (!Is(iter, kIterMagic)) return;
  if (InForkChild(iter->link.db)) {
    static_cast<void>(iter->it.release());
    static_cast<void>(iter->keyspace.Release());
  } else {
    TxnUse txn;
    if (!txn.Take(iter) || iter->state.exchange(kRevoked, std::memory_order_acq_rel) == kBusy)
      return;  // in use: lost rather than torn from under its user
    OpStats::Count(&iter->link.db->ops->steps, iter->steps);
    iter->it.reset();
  }
  iter->keyspace = {};
  Unregister(&iter->link);
  delete iter;
}

// ---- one call on an iterator

// Checks and takes the iterator. `broken` stands while the engine steps, so that an exception
// leaves it set.
class Step {
 public:
  [[gnu::always_inline]] inline Step(kist_iter* iter, kist_err* err)
      : Step(Check(iter, err), iter, err) {}
  ~Step() {
    if (done_) iter_->broken = false;
    if (iter_ == nullptr) return;
    if (Unlikely(iter_->txn_state != nullptr)) LeaveTxn(iter_);
    iter_->state.store(kIdle, std::memory_order_release);
  }
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;
  kist_rc rc() const { return rc_; }
  // The call has come to its end without an exception.
  kist_rc Done(kist_rc rc) {
    done_ = true;
    return rc;
  }

 private:
  static kist_rc Check(const kist_iter* iter, kist_err* err) {
    if (!Is(iter, kIterMagic)) return FailHandle(err, "iterator");
    if (Unlikely(InForkChild(iter->link.db))) return FailForked(err);
    return KIST_OK;
  }
  [[gnu::always_inline]] inline Step(kist_rc checked, kist_iter* iter, kist_err* err)
      : rc_(checked) {
    if (Unlikely(checked != KIST_OK)) return;
    Use use(&iter->state, err);
    rc_ = use.rc();
    if (Unlikely(rc_ != KIST_OK)) return;
    if (Unlikely(iter->txn_state != nullptr)) {
      rc_ = TakeTxn(iter, err);
      if (rc_ != KIST_OK) return;
    }
    use.Keep();
    iter_ = iter;
    if (Unlikely(iter->broken)) {
      rc_ = FailNoMemory(err);
      return;
    }
    if (Unlikely(!iter->it->status().ok())) {
      rc_ = FailWith(err, iter->it->status());
      return;
    }
    iter->broken = true;
  }
  // Static: Step stays in registers where its address goes nowhere.
  [[gnu::cold, gnu::noinline]] static kist_rc TakeTxn(kist_iter* iter, kist_err* err) {
    uint32_t found = kIdle;
    iter->txn_taken = iter->txn_state->compare_exchange_strong(found, kBusy);
    if (found != kBusy) return KIST_OK;
    return Fail(err, KIST_E_MISUSE, {KIST_D_CONCURRENT},
                "the iterator's transaction is in use by another thread");
  }
  [[gnu::cold, gnu::noinline]] static void LeaveTxn(kist_iter* iter) {
    if (iter->txn_taken) iter->txn_state->store(kIdle, std::memory_order_release);
    iter->txn_taken = false;
  }
  kist_iter* iter_ = nullptr;
  kist_rc rc_;
  bool done_ = false;
};

// What the engine's position means to the caller.
inline kist_rc Standing(kist_iter* iter, kist_err* err) {
  if (Likely(iter->it->on())) return KIST_OK;
  const Status& s = iter->it->status();
  return Likely(s.ok()) ? KIST_DONE : FailWith(err, s);
}

// Takes the engine back to the iterator's own position after chunk looked ahead.
[[gnu::cold, gnu::noinline]] void Settle(kist_iter* iter) {
  const int ahead = iter->ahead;
  iter->ahead = 0;
  if (iter->own == Position::kUnpositioned) {
    iter->unpositioned = true;  // nowhere to take it back to: MoveTo begins at an end
  } else if (ahead > 0) {
    iter->it->Prev();
  } else {
    iter->it->Next();
  }
}

// One step from the iterator's own position.
inline void Move(kist_iter* iter, int32_t dir) {
  if (Unlikely(iter->ahead != 0)) {
    if ((iter->ahead > 0) == (dir > 0)) {
      iter->ahead = 0;
      return;  // the engine stands there already
    }
    Settle(iter);
  }
  iter->fresh = false;
  if (Unlikely(iter->unpositioned)) {
    iter->unpositioned = false;
    return dir > 0 ? iter->it->SeekToFirst() : iter->it->SeekToLast();
  }
  dir > 0 ? iter->it->Next() : iter->it->Prev();
}

kist_rc Seek(kist_iter* iter, int32_t mode, const void* key, size_t key_len, kist_err* err) {
  Step step(iter, err);
  KIST_CHECKED(step.rc());
  if (mode < KIST_SEEK_FIRST || mode > KIST_SEEK_LT) {
    return step.Done(Fail(err, KIST_E_INVALID, {KIST_D_FLAG}, "unknown seek mode %d", mode));
  }
  if (mode >= KIST_SEEK_GE) {
    const kist_rc rc = CheckKey(iter->link.db, key, key_len, 1, err);
    if (rc != KIST_OK) return step.Done(rc);
  }
  OpStats* ops = iter->link.db->ops;
  OpStats::Count(&ops->seeks);
  OpTimer timer(ops, OpStats::kSeek, iter->seeks++);
  iter->ahead = 0;
  iter->unpositioned = false;
  DbIterator* it = iter->it.get();
  const Slice target = Bytes(key, mode >= KIST_SEEK_GE ? key_len : 0);
  switch (mode) {
    case KIST_SEEK_FIRST:
      it->SeekToFirst();
      break;
    case KIST_SEEK_LAST:
      it->SeekToLast();
      break;
    case KIST_SEEK_GE:
      it->SeekGe(target);
      break;
    case KIST_SEEK_GT:
      it->SeekGt(target);
      break;
    case KIST_SEEK_LE:
      it->SeekLe(target);
      break;
    default:
      it->SeekLt(target);
      break;
  }
  iter->fresh = it->on();
  return step.Done(Standing(iter, err));
}

[[gnu::always_inline]] inline kist_rc Advance(kist_iter* iter, int32_t dir, kist_err* err) {
  Step step(iter, err);
  KIST_CHECKED(step.rc());
  CountSteps(iter, 1);
  Move(iter, dir);
  return step.Done(Standing(iter, err));
}

// ---- entries

inline kist_slice KeyOf(const DbIterator* it) {
  const Slice key = it->key();
  return kist_slice{key.data() != nullptr ? key.data() : kEmpty, key.size()};
}

inline kist_slice ValueOf(const kist_iter* iter) {
  if (iter->keys_only) return kist_slice{nullptr, 0};
  const Slice value = iter->it->value();
  return kist_slice{value.data() != nullptr ? value.data() : kEmpty, value.size()};
}

// Out of the way of kist_iter_entry: the engine must step back first.
[[gnu::cold, gnu::noinline]] kist_rc SettleForEntry(kist_iter* iter) {
  Step step(iter, nullptr);
  KIST_CHECKED(step.rc());
  Settle(iter);
  return step.Done(iter->it->status().rc());
}

kist_rc Entry(const kist_iter* iter, kist_slice* key_out, kist_slice* val_out) {
  SetOut(key_out, kist_slice{nullptr, 0});
  SetOut(val_out, kist_slice{nullptr, 0});
  if (!Is(iter, kIterMagic)) return KIST_E_MISUSE;
  if (Unlikely(InForkChild(iter->link.db))) return KIST_E_FORKED;
  // Acquire pairs with the release of the last call. This reads what only the one user changes, so
  // it takes nothing.
  const uint32_t state = iter->state.load(std::memory_order_acquire);
  if (Unlikely(state != kIdle)) return state == kRevoked ? KIST_E_CLOSED : KIST_E_MISUSE;
  if (Unlikely(iter->txn_state != nullptr) &&
      iter->txn_state->load(std::memory_order_acquire) == kBusy)
    return KIST_E_MISUSE;
  if (Unlikely(iter->broken)) return KIST_E_NOMEM;
  if (Unlikely(iter->ahead != 0)) KIST_CHECKED(SettleForEntry(const_cast<kist_iter*>(iter)));
  if (Unlikely(!iter->it->status().ok())) return iter->it->status().rc();
  if (Unlikely(!iter->it->on() || iter->unpositioned)) return KIST_E_MISUSE;
  SetOut(key_out, KeyOf(iter->it.get()));
  SetOut(val_out, ValueOf(iter));
  return KIST_OK;
}

kist_rc CheckMany(int32_t dir, size_t max, const void* out, bool out_needed, const char* what,
                  kist_err* err) {
  if (dir == 0) return Fail(err, KIST_E_INVALID, {KIST_D_RANGE}, "dir is 0");
  if (max == 0) return Fail(err, KIST_E_INVALID, {KIST_D_RANGE}, "max is 0");
  return out == nullptr && out_needed ? FailNull(err, what) : KIST_OK;
}

// To the entry that entries and chunk begin with.
inline void Begin(kist_iter* iter, int32_t dir) {
  if (!iter->fresh || iter->ahead != 0) Move(iter, dir);
}

kist_rc Entries(kist_iter* iter, int32_t dir, kist_entry* entries, size_t max, size_t* count_out,
                kist_err* err) {
  SetOut<size_t>(count_out, 0);
  Step step(iter, err);
  KIST_CHECKED(step.rc());
  const kist_rc checked = CheckMany(dir, max, entries, true, "entries", err);
  if (checked != KIST_OK) return step.Done(checked);
  DbIterator* it = iter->it.get();
  // What the last call held goes, unless the entry to begin with may be among it. What this call
  // steps over is held until the next one.
  if (!iter->fresh && iter->ahead == 0) it->ReleaseHeld();
  Begin(iter, dir);
  it->HoldEntries(true);
  // The blocks of all of them are held: a sixteenth of the memory budget ends the call early.
  const size_t most = it->hold_max();
  size_t count = 0, bytes = 0;
  while (it->on()) {
    entries[count].key = KeyOf(it);
    entries[count].val = ValueOf(iter);
    bytes += it->key().size() + it->value().size();
    if (++count == max || bytes > most) break;
    dir > 0 ? it->Next() : it->Prev();
  }
  it->HoldEntries(false);
  CountSteps(iter, count);
  iter->fresh = false;
  const kist_rc rc = Standing(iter, err);
  if (rc >= 0) SetOut(count_out, count);
  return step.Done(rc);
}

struct ChunkOut {
  size_t used = 0;
  size_t count = 0;
  size_t need = 0;
};

// Fills buf from the engine's position on; `own` is where the iterator itself stands.
kist_rc FillChunk(kist_iter* iter, int32_t dir, Position own, char* buf, size_t cap, size_t max,
                  ChunkOut* out) {
  DbIterator* it = iter->it.get();
  while (it->on()) {
    const kist_slice key = KeyOf(it);
    const kist_slice val = ValueOf(iter);
    const size_t need = kChunkHeader + key.len + val.len;
    if (need > cap - out->used) {
      if (out->count == 0) out->need = need;
      iter->ahead = dir > 0 ? 1 : -1;
      iter->own = out->count == 0 ? own : Position::kOn;
      return out->count == 0 ? KIST_TRUNCATED : KIST_OK;
    }
    char* p = buf + out->used;
    Store32(p, static_cast<uint32_t>(key.len));
    Store32(p + 4, static_cast<uint32_t>(val.len));
    std::memcpy(p + kChunkHeader, key.data, key.len);
    if (val.len != 0) std::memcpy(p + kChunkHeader + key.len, val.data, val.len);
    out->used += need;
    if (++out->count == max) return KIST_OK;
    dir > 0 ? it->Next() : it->Prev();
  }
  return KIST_DONE;
}

kist_rc Chunk(kist_iter* iter, int32_t dir, void* buf, size_t cap, size_t max, size_t* used_out,
              size_t* count_out, size_t* need_out, kist_err* err) {
  SetOut<size_t>(used_out, 0);
  SetOut<size_t>(count_out, 0);
  SetOut<size_t>(need_out, 0);
  Step step(iter, err);
  KIST_CHECKED(step.rc());
  const kist_rc checked = CheckMany(dir, max, buf, cap != 0, "buf", err);
  if (checked != KIST_OK) return step.Done(checked);
  ChunkOut out;
  const bool fresh = iter->fresh && iter->ahead == 0;
  const Position own = iter->ahead != 0     ? iter->own
                       : iter->unpositioned ? Position::kUnpositioned
                                            : iter->it->position();
  Begin(iter, dir);
  kist_rc rc = FillChunk(iter, dir, own, static_cast<char*>(buf), cap, max, &out);
  if (rc == KIST_TRUNCATED && fresh) {
    iter->ahead = 0;  // nothing was consumed: it still stands on the entry that the seek found
  } else {
    iter->fresh = false;
  }
  CountSteps(iter, out.count);
  if (rc == KIST_DONE) rc = Standing(iter, err);
  if (rc >= 0) {
    SetOut(used_out, out.used);
    SetOut(count_out, out.count);
    SetOut(need_out, out.need);
  }
  return step.Done(rc);
}

kist_rc Refresh(kist_iter* iter, kist_err* err) {
  Step step(iter, err);
  KIST_CHECKED(step.rc());
  if (iter->keyspace->dropped()) return step.Done(FailDropped(err));
  const Status s = iter->it->Refresh();
  if (!s.ok()) return step.Done(FailWith(err, s));
  iter->ahead = 0;
  iter->fresh = false;
  iter->unpositioned = false;
  return step.Done(KIST_OK);
}

}  // namespace
}  // namespace kist::capi

using namespace kist::capi;  // NOLINT: this file is the C side

extern "C" {

kist_rc kist_snapshot_new(kist_db* db, kist_snapshot** snapshot_out, kist_err* err) {
  return Guard(err, [&] { return SnapshotNew(db, snapshot_out, err); });
}

uint64_t kist_snapshot_seq(const kist_snapshot* snapshot) {
  return Is(snapshot, kSnapshotMagic) ? snapshot->snapshot->seq : 0;
}

void kist_snapshot_free(kist_snapshot* snapshot) {
  GuardVoid([&] { SnapshotFree(snapshot); });
}

kist_rc kist_iter_new(kist_keyspace* ks, const kist_iter_options* io, kist_iter** iter_out,
                      kist_err* err) {
  return Guard(err, [&] { return IterNew(ks, io, iter_out, err); });
}

void kist_iter_free(kist_iter* iter) {
  GuardVoid([&] { IterFree(iter); });
}

kist_rc kist_iter_seek(kist_iter* iter, int32_t mode, const void* key, size_t key_len,
                       kist_err* err) {
  return Guard(err, [&] { return Seek(iter, mode, key, key_len, err); });
}

kist_rc kist_iter_next(kist_iter* iter, kist_err* err) {
  return Guard(err, [&] { return Advance(iter, 1, err); });
}

kist_rc kist_iter_prev(kist_iter* iter, kist_err* err) {
  return Guard(err, [&] { return Advance(iter, -1, err); });
}

kist_rc kist_iter_entry(const kist_iter* iter, kist_slice* key_out, kist_slice* val_out) {
  return Guard(nullptr, [&] { return Entry(iter, key_out, val_out); });
}

kist_rc kist_iter_entries(kist_iter* iter, int32_t dir, kist_entry* entries, size_t max,
                          size_t* count_out, kist_err* err) {
  return Guard(err, [&] { return Entries(iter, dir, entries, max, count_out, err); });
}

kist_rc kist_iter_chunk(kist_iter* iter, int32_t dir, void* buf, size_t cap, size_t max,
                        size_t* used_out, size_t* count_out, size_t* need_out, kist_err* err) {
  return Guard(err,
               [&] { return Chunk(iter, dir, buf, cap, max, used_out, count_out, need_out, err); });
}

kist_rc kist_iter_refresh(kist_iter* iter, kist_err* err) {
  return Guard(err, [&] { return Refresh(iter, err); });
}

}  // extern "C"
