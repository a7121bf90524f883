// The read path: memtables newest first, then level 0 newest first, then one table per level. No
// lock, no reference count: the caller is inside a guard of epoch_, which keeps the view, its
// tables and their cached blocks alive.
// Threads: any.
#include "db/db_impl.h"
#include "util/check.h"
#include "util/coding.h"
#include "util/planted.h"

namespace kist {

void ResolveFound(uint64_t tag, Slice value, Sequence covering, int64_t now_ms, ReadFound* found) {
  found->found = false;
  if (covering > TagSequence(tag)) return;
  switch (TagKind(tag)) {
    case EntryKind::kPut:
      found->value = value;
      found->found = true;
      return;
    case EntryKind::kPutTtl: {
      const int64_t expiry = static_cast<int64_t>(Load64(value.data()));
      if (expiry <= now_ms) return;
      found->expires_ms = expiry;
      found->value = value.substr(8);
      found->found = true;
      return;
    }
    case EntryKind::kDelete:
      return;
  }
}

namespace {

struct Lookup {
  Slice key;
  uint64_t hash;
  Sequence seq;
  Sequence covering = 0;  // newest range tombstone over the key seen so far
  ReadContext context;
  TableFound hit;
  ReadFound* found;
};

// True where the search ends here.
inline Status LookIn(LiveTable* file, Lookup* l, bool* done) {
  Table* table = nullptr;
  KIST_TRY(file->Reader(&table));
  if (const RangeTombstoneSet* set = table->range_tombstones()) {
    l->covering = std::max(l->covering, set->MaxCovering(l->key, l->seq));
  }
  KIST_TRY(table->Get(l->key, l->hash, l->seq, l->context, &l->hit));
  *done = l->hit.found || l->covering != 0;
  if (l->hit.found) {
    l->found->looks.from_table = 1;
  } else if (l->hit.filtered) {
    ++l->found->looks.filter_negatives;
  } else if (table->has_filter()) {
    ++l->found->looks.filter_false;
  }
  return Status();
}

Status LookInLevels(const KeyspaceVersion& kv, Lookup* l, bool* done) {
  const Level& newest = kv.levels[0];
  if (!newest.empty()) {
    const uint64_t rank = newest.Rank(l->key);
    for (size_t i = 0; i < newest.size(); ++i) {
      if (!newest.MayHold(i, l->key, rank)) continue;
      KIST_TRY(LookIn(newest.files()[i].get(), l, done));
      if (*done) return Status();
    }
  }
  for (uint32_t left = kv.sorted_levels; left != 0; left &= left - 1) {
    LiveTable* file = kv.levels[__builtin_ctz(left)].Holder(l->key);
    if (file == nullptr) continue;
    KIST_TRY(LookIn(file, l, done));
    if (*done) return Status();
  }
  return Status();
}

void ReleaseMemtable(void* memtable) { static_cast<Memtable*>(memtable)->Unref(); }

}  // namespace

// Only what expires needs a look at the clock, which then comes last: a commit in between may have
// renewed what has expired by that time.
[[gnu::cold, gnu::noinline]] Status DbImpl::GetRenewed(Keyspace* ks, const ReadState& looked,
                                                       Slice key, bool fill_cache,
                                                       ReadFound* found) {
  if (IsNewest(looked)) return Status();
  const ReadState state = FixState(nullptr);
  if (ks->dropped())  // behind the view, as in Get
    return Status::Error(Code::kMissing, "keyspace '" + ks->name() + "' was dropped");
  ManyGet again;
  again.key = key;
  GetMany(ks, state, fill_cache, &again, 1);
  *found = std::move(again.found);
  return std::move(again.status);
}

Status DbImpl::Get(Keyspace* ks, const Snapshot* snapshot, Slice key, bool fill_cache,
                   ReadFound* found) {
  // The view before the sequence: what is missing from the view was committed after the call began.
  // And before the look at the keyspace: a view that lacks its data comes after it was dropped.
  View* const view = view_.load(
      std::memory_order_seq_cst);  // pairs with PublishView; ordered after the guard's claim
  if (__builtin_expect(ks->dropped(), 0))
    return Status::Error(Code::kMissing, "keyspace '" + ks->name() + "' was dropped");
  const Sequence seq =
      snapshot != nullptr ? snapshot->seq : visible_seq_.load(std::memory_order_acquire);
  const auto now = [&] {
    if (Planted(Bug::kTtlByWallClock)) return vfs_->WallMs();
    return snapshot != nullptr ? snapshot->time_ms : clock_.NowMs();
  };
  found->found = false;
  found->expires_ms = 0;
  Lookup l;
  l.key = key;
  l.seq = seq;
  l.found = found;
  for (const auto& m : view->memtables) {
    if (!Planted(Bug::kMemtableRangesIgnored))
      l.covering = std::max(l.covering, m->MaxCovering(ks->id(), key, seq));
    Memtable::Found f;
    if (m->Get(ks->id(), key, seq, &f)) {
      const int64_t at = TagKind(f.tag) == EntryKind::kPutTtl ? now() : 0;
      ResolveFound(f.tag, f.value, l.covering, at, found);
      found->memtable = m.get();
      if (__builtin_expect(at != 0 && !found->found && snapshot == nullptr, 0))
        return GetRenewed(ks, {view, seq, at}, key, fill_cache, found);
      return Status();
    }
    if (l.covering != 0) return Status();
  }
  const KeyspaceVersion* kv = view->version->Find(static_cast<KeyspaceImpl*>(ks)->slot(), ks->id());
  if (kv == nullptr) return Status();
  l.hash = HashKey(key);
  l.context.fill_cache = fill_cache;
  bool done = false;
  KIST_TRY(LookInLevels(*kv, &l, &done));
  if (!l.hit.found) return Status();
  const int64_t at = TagKind(l.hit.tag) == EntryKind::kPutTtl ? now() : 0;
  ResolveFound(l.hit.tag, l.hit.value, l.covering, at, found);
  found->block = l.hit.block;
  found->owned = std::move(l.hit.owned);
  if (__builtin_expect(at != 0 && !found->found && snapshot == nullptr, 0))
    return GetRenewed(ks, {view, seq, at}, key, fill_cache, found);
  return Status();
}

PinRef Db::MakePin(ReadFound* found) {
  PinRef pin;
  if (found->memtable != nullptr) {
    found->memtable->Ref();
    pin.owner = found->memtable;
    pin.release = ReleaseMemtable;
  } else if (found->owned) {
    pin.owner = found->owned.Release();
    pin.release = Block::Release;
  } else if (found->block != nullptr) {
    found->block->Ref();
    pin.owner = found->block;
    pin.release = Block::Release;
  }
  return pin;
}

RefPtr<View> DbImpl::AcquireView(Sequence* seq) {
  Epoch::Guard guard(epoch_);
  RefPtr<View> view = RefPtr<View>::Share(view_.load(std::memory_order_seq_cst));
  *seq = visible_seq_.load(std::memory_order_acquire);
  return view;
}

// What is written anew before it expires is there at every moment, so a state and a time must have
// been the newest at one: nothing was committed between the looks at them, or no time has passed.
ReadState DbImpl::FixState(const Snapshot* snapshot) {
  ReadState state;
  for (std::optional<int64_t> before;; before = state.time_ms) {
    // The view before the sequence, as in Get.
    state.view = view_.load(std::memory_order_seq_cst);
    state.seq = snapshot != nullptr ? snapshot->seq : visible_seq_.load(std::memory_order_acquire);
    state.time_ms = snapshot != nullptr ? snapshot->time_ms : clock_.NowMs();
    if (snapshot != nullptr || IsNewest(state) || before == state.time_ms) return state;
  }
}

RefPtr<View> DbImpl::AcquireState(Sequence* seq, int64_t* time_ms) {
  Epoch::Guard guard(epoch_);
  const ReadState state = FixState(nullptr);
  *seq = state.seq;
  *time_ms = state.time_ms;
  return RefPtr<View>::Share(state.view);
}

Result<std::unique_ptr<Snapshot>> DbImpl::NewSnapshot() {
  auto s = std::make_unique<SnapshotNode>(&snapshots_);
  snapshots_.Register(s.get(), visible_seq_, &clock_);
  return std::unique_ptr<Snapshot>(std::move(s));
}

Status DbImpl::ApproximateSize(Keyspace* ks, Slice begin, Slice end, uint64_t* bytes) {
  *bytes = 0;
  Sequence seq = 0;
  RefPtr<View> view = AcquireView(&seq);
  if (ks->dropped())
    return Status::Error(Code::kMissing, "keyspace '" + ks->name() + "' was dropped");
  for (const auto& m : view->memtables) *bytes += m->ApproximateBytes(ks->id(), begin, end);
  const KeyspaceVersion* kv = view->version->Find(static_cast<KeyspaceImpl*>(ks)->slot(), ks->id());
  if (kv == nullptr) return Status();
  for (const Level& level : kv->levels) {
    for (const auto& f : level.files()) {
      if (!f->Overlaps(begin, end, false, end.empty())) continue;
      KIST_TRY_ASSIGN(RefPtr<Table> table, f->ReaderRef());
      *bytes += table->ApproximateBytes(begin, end);
    }
  }
  return Status();
}

}  // namespace kist
