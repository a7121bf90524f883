// Point reads. The path of kist_get: handle, fork, the engine's epoch, closing, arguments, Db::Get,
// copy out; nothing allocates.
// Invariant: what Db::Get found is used, copied or pinned inside the epoch guard under which it was
// found.
// Threads: any.
#include <algorithm>
#include <memory>

#include "capi/args.h"
#include "db/op_stats.h"
#include "util/alloc.h"

namespace kist::capi {
namespace {

kist_rc CheckTxnLives(const kist_txn* txn, kist_err* err) {
  if (!txn->ended) return KIST_OK;
  return Fail(err, KIST_E_MISUSE, {KIST_D_STATE}, "the transaction was committed");
}

// Of a transaction that is in use.
kist_rc LookInTxn(kist_keyspace* ks, const ReadArgs& args, Slice key, ReadFound* found,
                  kist_err* err) {
  KIST_CHECKED(CheckTxnLives(args.txn, err));
  const Status s =
      args.txn->txn->Get(ks->keyspace.get(), key, args.for_update, args.fill_cache, found);
  return Likely(s.ok()) ? KIST_OK : FailWith(err, s);
}

// Db::Get, or the transaction's; inside the guard.
inline kist_rc Look(kist_keyspace* ks, const ReadArgs& args, Slice key, ReadFound* found,
                    kist_err* err) {
  if (Unlikely(args.txn != nullptr)) {
    Use use(args.txn->state.get(), err);
    KIST_CHECKED(use.rc());
    return LookInTxn(ks, args, key, found, err);
  }
  const Status s =
      ks->link.db->engine->Get(ks->keyspace.get(), args.snapshot, key, args.fill_cache, found);
  return Likely(s.ok()) ? KIST_OK : FailWith(err, s);
}

inline void CountRead(Epoch::Slot* slot, const ReadFound& found) {
  const ReadFound::Looks& looks = found.looks;
  if (!found.found) slot->Count(kGetsAbsent);
  if (looks.from_table != 0) slot->Count(kTableHits);
  if (looks.filter_negatives != 0) slot->Count(kFilterNegatives, looks.filter_negatives);
  if (Unlikely(looks.filter_false != 0)) slot->Count(kFilterFalse, looks.filter_false);
}

// Calls on_found with what the key holds. `missing` names a required output that is NULL.
template <typename OnFound>
inline kist_rc ReadOne(kist_keyspace* ks, const kist_read_options* ro, const void* key,
                       size_t key_len, const char* missing, kist_err* err, OnFound&& on_found) {
  KIST_CHECKED(CheckKeyspace(ks, err));
  kist_db* db = ks->link.db;
  Epoch::Guard guard(*db->epoch);
  // Pairs with the store in lifecycle.cc, after which the epoch is drained.
  if (Unlikely(db->closed.load(std::memory_order_seq_cst))) return FailClosed(err);
  if (Unlikely(ks->keyspace->dropped())) return FailDropped(err);
  ReadArgs args;
  if (ro != nullptr) KIST_CHECKED(CheckReadOptions(db, ro, &args, err));
  KIST_CHECKED(CheckKey(db, key, key_len, 0, err));
  if (Unlikely(missing != nullptr)) return FailNull(err, missing);
  Epoch::Slot& slot = guard.slot();
  const uint64_t number = slot.counters[kGets].load(std::memory_order_relaxed) + 1;
  slot.counters[kGets].store(number, std::memory_order_relaxed);
  OpTimer timer(db->ops, OpStats::kGet, number);
  ReadFound found;
  KIST_CHECKED(Look(ks, args, Bytes(key, key_len), &found, err));
  CountRead(&slot, found);
  return found.found ? on_found(&found) : KIST_NOT_FOUND;
}

inline void ClearPin(kist_pin* pin) { *pin = kist_pin{nullptr, 0, nullptr, 0}; }

// kist_pin.reserved holds the function that drops `owner`.
inline kist_rc FillPin(kist_db* db, ReadFound* found, kist_pin* pin, kist_err* err) {
  const Status admitted = db->engine->AdmitPin(*found);
  if (Unlikely(!admitted.ok())) return FailWith(err, admitted);
  const Slice value = found->value;
  const PinRef ref = Db::MakePin(found);
  pin->data = value.data() != nullptr ? value.data() : "";
  pin->len = value.size();
  pin->owner = ref.owner;
  pin->reserved = reinterpret_cast<uintptr_t>(ref.release);
  return KIST_OK;
}

inline void ReleasePin(kist_pin* pin) {
  if (pin == nullptr) return;
  if (pin->owner != nullptr)
    reinterpret_cast<void (*)(void*)>(static_cast<uintptr_t>(pin->reserved))(pin->owner);
  ClearPin(pin);
}

kist_rc Get(kist_keyspace* ks, const kist_read_options* ro, const void* key, size_t key_len,
            void* buf, size_t cap, size_t* len_out, kist_err* err) {
  SetOut<size_t>(len_out, 0);
  const char* missing = buf == nullptr && cap != 0 ? "buf" : nullptr;
  return ReadOne(ks, ro, key, key_len, missing, err,
                 [=](ReadFound* found) { return CopyBytes(found->value, buf, cap, len_out); });
}

kist_rc GetPin(kist_keyspace* ks, const kist_read_options* ro, const void* key, size_t key_len,
               kist_pin* pin_out, kist_err* err) {
  if (pin_out != nullptr) ClearPin(pin_out);
  const char* missing = pin_out == nullptr ? "pin_out" : nullptr;
  return ReadOne(ks, ro, key, key_len, missing, err,
                 [=](ReadFound* found) { return FillPin(ks->link.db, found, pin_out, err); });
}

kist_rc GetCopy(kist_keyspace* ks, const kist_read_options* ro, const void* key, size_t key_len,
                void** value_out, size_t* len_out, kist_err* err) {
  SetOut<void*>(value_out, nullptr);
  SetOut<size_t>(len_out, 0);
  const char* missing = value_out == nullptr ? "value_out" : nullptr;
  return ReadOne(ks, ro, key, key_len, missing, err, [=](ReadFound* found) {
    const Slice value = found->value;
    void* copy = Allocate(value.empty() ? 1 : value.size());
    if (copy == nullptr) return FailNoMemory(err);
    if (!value.empty()) std::memcpy(copy, value.data(), value.size());
    *value_out = copy;
    SetOut(len_out, value.size());
    return KIST_OK;
  });
}

kist_rc Ttl(kist_keyspace* ks, const kist_read_options* ro, const void* key, size_t key_len,
            int64_t* left_ms_out, kist_err* err) {
  SetOut<int64_t>(left_ms_out, 0);
  Call call(ks, err);
  KIST_CHECKED(call.rc());
  if (left_ms_out == nullptr) return FailNull(err, "left_ms_out");
  kist_db* db = ks->link.db;
  ReadArgs args;
  if (ro != nullptr) KIST_CHECKED(CheckReadOptions(db, ro, &args, err));
  KIST_CHECKED(CheckKey(db, key, key_len, 0, err));
  Epoch::Guard guard(*db->epoch);
  ReadFound found;
  KIST_CHECKED(Look(ks, args, Bytes(key, key_len), &found, err));
  if (!found.found) return KIST_NOT_FOUND;
  if (found.expires_ms == 0) {
    *left_ms_out = -1;
    return KIST_OK;
  }
  const int64_t now = args.txn != nullptr        ? args.txn->txn->time_ms()
                      : args.snapshot != nullptr ? args.snapshot->time_ms
                                                 : db->engine->NowMs();
  *left_ms_out = std::max<int64_t>(found.expires_ms - now, 1);  // it was alive when it was found
  return KIST_OK;
}

// Releases what a multi_get pinned, unless it came to its end.
class PinsOnFailure {
 public:
  PinsOnFailure(kist_pin* pins, kist_rc* rcs) : pins_(pins), rcs_(rcs) {}
  ~PinsOnFailure() {
    for (size_t i = 0; i < count; ++i) {
      ReleasePin(&pins_[i]);
      rcs_[i] = KIST_OK;
    }
  }
  size_t count = 0;

 private:
  kist_pin* pins_;
  kist_rc* rcs_;
};

// Through a transaction that is in use.
kist_rc MultiGetOne(kist_keyspace* ks, const ReadArgs& args, const kist_slice& key, kist_pin* pin) {
  kist_db* db = ks->link.db;
  KIST_CHECKED(CheckKey(db, key.data, key.len, 0, nullptr));
  Epoch::Guard guard(*db->epoch);
  ReadFound found;
  KIST_CHECKED(LookInTxn(ks, args, Bytes(key.data, key.len), &found, nullptr));
  if (!found.found) return KIST_NOT_FOUND;
  return FillPin(db, &found, pin, nullptr);
}

// Keys that are sorted and looked up at a time, on the stack; and how many may hold up the freeing
// of memory before a snapshot takes the place of the guard.
constexpr size_t kManyMax = 64;
constexpr size_t kGuardedMax = 1024;

// Room for kManyMax, of which only those are made that there are.
class Gets {
 public:
  Gets() = default;
  ~Gets() { std::destroy_n(first(), count_); }
  Gets(const Gets&) = delete;
  Gets& operator=(const Gets&) = delete;
  void Add(Slice key) { (new (first() + count_++) ManyGet())->key = key; }
  ManyGet& operator[](size_t i) { return first()[i]; }

 private:
  ManyGet* first() { return reinterpret_cast<ManyGet*>(memory_); }
  alignas(ManyGet) char memory_[kManyMax * sizeof(ManyGet)];
  size_t count_ = 0;
};

void CountLooks(Gets* gets, size_t count, Epoch::Slot* slot) {
  uint64_t hits = 0, negatives = 0, false_ = 0;
  for (size_t i = 0; i < count; ++i) {
    const ReadFound::Looks& looks = (*gets)[i].found.looks;
    hits += looks.from_table;
    negatives += looks.filter_negatives;
    false_ += looks.filter_false;
  }
  slot->Count(kTableHits, hits);
  slot->Count(kFilterNegatives, negatives);
  slot->Count(kFilterFalse, false_);
}

// Up to kManyMax of them. Inside a guard, whose slot counts.
void MultiGetSome(kist_keyspace* ks, const ReadState& state, bool fill_cache, size_t count,
                  const kist_slice* keys, kist_pin* pins_out, kist_rc* rcs_out, Epoch::Slot* slot) {
  struct Place {
    uint64_t prefix;
    uint32_t at;
  };
  Place order[kManyMax];
  size_t n = 0;
  size_t shared = SIZE_MAX;  // bytes that all keys begin with tell nothing about their order
  const auto key = [&](uint32_t at) { return Bytes(keys[at].data, keys[at].len); };
  for (uint32_t i = 0; i < count; ++i) {
    rcs_out[i] = CheckKey(ks->link.db, keys[i].data, keys[i].len, 0, nullptr);
    if (rcs_out[i] != KIST_OK) continue;
    order[n++] = {0, i};
    shared = std::min(shared, n == 1 ? keys[i].len : CommonPrefixLength(key(order[0].at), key(i)));
  }
  for (size_t i = 0; i < n; ++i) order[i].prefix = Prefix64(key(order[i].at).substr(shared));
  std::sort(order, order + n, [&](const Place& a, const Place& b) {
    return a.prefix != b.prefix ? a.prefix < b.prefix : key(a.at) < key(b.at);
  });
  Gets gets;
  for (size_t i = 0; i < n; ++i) gets.Add(key(order[i].at));
  ks->link.db->engine->GetMany(ks->keyspace.get(), state, fill_cache, &gets[0], n);
  CountLooks(&gets, n, slot);
  for (size_t i = 0; i < n; ++i) {
    const uint32_t at = order[i].at;
    if (!gets[i].status.ok()) {
      rcs_out[at] = FailWith(nullptr, gets[i].status);
    } else if (gets[i].found.found) {
      rcs_out[at] = FillPin(ks->link.db, &gets[i].found, &pins_out[at], nullptr);
    } else {
      rcs_out[at] = KIST_NOT_FOUND;
    }
  }
}

kist_rc MultiGetAll(kist_keyspace* ks, const ReadArgs& args, size_t count, const kist_slice* keys,
                    kist_pin* pins_out, kist_rc* rcs_out, kist_err* err) {
  PinsOnFailure pinned(pins_out, rcs_out);
  kist_db* db = ks->link.db;
  if (args.txn != nullptr) {
    Use use(args.txn->state.get(), err);
    KIST_CHECKED(use.rc());
    KIST_CHECKED(CheckTxnLives(args.txn, err));
    for (; pinned.count < count; ++pinned.count) {
      const size_t i = pinned.count;
      rcs_out[i] = MultiGetOne(ks, args, keys[i], &pins_out[i]);
    }
    pinned.count = 0;
    return KIST_OK;
  }
  const Snapshot* snapshot = args.snapshot;
  std::unique_ptr<Snapshot> own;
  if (snapshot == nullptr && count > kGuardedMax) {
    auto made = db->engine->NewSnapshot();
    if (!made.ok()) return FailWith(err, made.status());
    own = made.Take();
    snapshot = own.get();
  }
  while (pinned.count < count) {
    Epoch::Guard guard(*db->epoch);
    const ReadState state = db->engine->FixState(snapshot);
    if (Unlikely(ks->keyspace->dropped())) return FailDropped(err);
    const size_t end = snapshot == nullptr ? count : std::min(count, pinned.count + kGuardedMax);
    for (size_t n = 0; pinned.count < end; pinned.count += n) {
      const size_t i = pinned.count;
      n = std::min(kManyMax, end - i);
      MultiGetSome(ks, state, args.fill_cache, n, keys + i, pins_out + i, rcs_out + i,
                   &guard.slot());
    }
  }
  pinned.count = 0;
  return KIST_OK;
}

kist_rc MultiGet(kist_keyspace* ks, const kist_read_options* ro, size_t count,
                 const kist_slice* keys, kist_pin* pins_out, kist_rc* rcs_out, kist_err* err) {
  for (size_t i = 0; i < count && pins_out != nullptr; ++i) ClearPin(&pins_out[i]);
  for (size_t i = 0; i < count && rcs_out != nullptr; ++i) rcs_out[i] = KIST_OK;
  Call call(ks, err);
  KIST_CHECKED(call.rc());
  ReadArgs args;
  if (ro != nullptr) KIST_CHECKED(CheckReadOptions(ks->link.db, ro, &args, err));
  if (count == 0) return KIST_OK;
  if (keys == nullptr) return FailNull(err, "keys");
  if (pins_out == nullptr) return FailNull(err, "pins_out");
  if (rcs_out == nullptr) return FailNull(err, "rcs_out");
  OpStats* ops = ks->link.db->ops;
  OpStats::Count(&ops->multi_gets);
  OpStats::Count(&ops->multi_get_keys, count);
  OpTimer timer(ops, OpStats::kMultiGet);
  return MultiGetAll(ks, args, count, keys, pins_out, rcs_out, err);
}

}  // namespace
}  // namespace kist::capi

using namespace kist::capi;  // NOLINT: this file is the C side

extern "C" {

kist_rc kist_get(kist_keyspace* ks, const kist_read_options* ro, const void* key, size_t key_len,
                 void* buf, size_t cap, size_t* len_out, kist_err* err) {
  return Guard(err, [&] { return Get(ks, ro, key, key_len, buf, cap, len_out, err); });
}

kist_rc kist_get_pin(kist_keyspace* ks, const kist_read_options* ro, const void* key,
                     size_t key_len, kist_pin* pin_out, kist_err* err) {
  return Guard(err, [&] { return GetPin(ks, ro, key, key_len, pin_out, err); });
}

void kist_pin_release(kist_pin* pin) {
  GuardVoid([&] { ReleasePin(pin); });
}

kist_rc kist_get_copy(kist_keyspace* ks, const kist_read_options* ro, const void* key,
                      size_t key_len, void** value_out, size_t* len_out, kist_err* err) {
  return Guard(err, [&] { return GetCopy(ks, ro, key, key_len, value_out, len_out, err); });
}

void kist_free(void* copy) { kist::Deallocate(copy); }

kist_rc kist_exists(kist_keyspace* ks, const kist_read_options* ro, const void* key, size_t key_len,
                    kist_err* err) {
  return Guard(err, [&] {
    return ReadOne(ks, ro, key, key_len, nullptr, err, [](kist::ReadFound*) { return KIST_OK; });
  });
}

kist_rc kist_ttl(kist_keyspace* ks, const kist_read_options* ro, const void* key, size_t key_len,
                 int64_t* left_ms_out, kist_err* err) {
  return Guard(err, [&] { return Ttl(ks, ro, key, key_len, left_ms_out, err); });
}

kist_rc kist_multi_get(kist_keyspace* ks, const kist_read_options* ro, size_t count,
                       const kist_slice* keys, kist_pin* pins_out, kist_rc* rcs_out,
                       kist_err* err) {
  return Guard(err, [&] { return MultiGet(ks, ro, count, keys, pins_out, rcs_out, err); });
}

}  // extern "C"
