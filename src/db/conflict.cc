// Whether a commit after a given sequence changed what a transaction depends on.
//
// The answer comes from the data itself: while the transaction's snapshot is registered, the newest
// version of every key stays findable with its sequence, deletes and range deletes included. Only
// sources that hold anything newer than the snapshot are asked.
#include <algorithm>

#include "db/db_impl.h"
#include "db/txn.h"
#include "util/planted.h"

namespace kist {
namespace {

Status Conflict(const Keyspace& ks) {
  return Status::Error(
      Code::kConflict,
      "a later commit changed what the transaction read or wrote in keyspace '" + ks.name() + "'");
}

bool TombstoneIn(const RangeTombstoneSet* set, const KeyRange& r, Sequence since) {
  if (set == nullptr) return false;
  const auto& all = set->tombstones();
  for (auto t = all.rbegin(); t != all.rend() && t->seq > since; ++t) {
    if ((r.to_last || t->begin < Slice(r.high)) && (t->end.empty() || t->end > Slice(r.low)))
      return true;
  }
  return false;
}

Status EntryIn(InternalIterator* it, const KeyRange& r, Sequence since, bool* changed) {
  for (it->Seek(r.low, kMaxTag); it->valid(); it->Next()) {
    if (!r.to_last && it->key() >= Slice(r.high)) break;
    if (TagSequence(it->tag()) > since) {
      *changed = true;
      return Status();
    }
  }
  return it->status();
}

Status KeyChanged(const View& view, const KeyspaceVersion* kv, uint32_t id, Slice key,
                  Sequence since, bool* changed) {
  for (const auto& m : view.memtables) {
    if (m->LatestSequence(id, key) > since) return *changed = true, Status();
  }
  if (kv == nullptr || Planted(Bug::kTxnFlushedKeyMissed)) return Status();
  const uint64_t hash = HashKey(key);
  for (const Level& level : kv->levels) {
    for (const auto& f : level.files()) {
      if (f->properties().largest_seq <= since || !f->MayHold(key)) continue;
      Table* table = nullptr;
      KIST_TRY(f->Reader(&table));
      TableFound found;
      KIST_TRY(table->Get(key, hash, kMaxSequence, ReadContext(), &found));
      const RangeTombstoneSet* set = table->range_tombstones();
      if ((found.found && TagSequence(found.tag) > since) ||
          (set != nullptr && set->MaxCovering(key, kMaxSequence) > since)) {
        return *changed = true, Status();
      }
    }
  }
  return Status();
}

Status RangeChanged(const View& view, const KeyspaceVersion* kv, uint32_t id, const KeyRange& r,
                    Sequence since, bool* changed) {
  for (const auto& m : view.memtables) {
    if (m->RangeDeletedSince(id, r.low, r.to_last ? Slice() : Slice(r.high), since))
      return *changed = true, Status();
    if (auto it = m->NewIterator(id)) KIST_TRY(EntryIn(it.get(), r, since, changed));
    if (*changed) return Status();
  }
  if (kv == nullptr) return Status();
  for (const Level& level : kv->levels) {
    for (const auto& f : level.files()) {
      if (f->properties().largest_seq <= since || !f->Overlaps(r.low, r.high, false, r.to_last))
        continue;
      KIST_TRY_ASSIGN(RefPtr<Table> table, f->ReaderRef());
      if (TombstoneIn(table->range_tombstones(), r, since)) return *changed = true, Status();
      KIST_TRY(EntryIn(table->NewIterator(ReadContext()).get(), r, since, changed));
      if (*changed) return Status();
    }
  }
  return Status();
}

bool Touches(const KeyRange& r, const Op& op) {
  if (op.kind != OpKind::kDeleteRange)
    return op.key >= Slice(r.low) && (r.to_last || op.key < Slice(r.high));
  return (r.to_last || op.key < Slice(r.high)) && (op.value.empty() || op.value > Slice(r.low));
}

bool Touches(const std::unordered_set<std::string>& keys, const Op& op, std::string* scratch) {
  if (op.kind != OpKind::kDeleteRange) {
    if (keys.empty()) return false;
    scratch->assign(op.key.data(), op.key.size());
    return keys.count(*scratch) != 0;
  }
  return std::any_of(keys.begin(), keys.end(), [&](const std::string& key) {
    return RangeTombstone{op.key, op.value, 0}.Covers(key);
  });
}

// Whether the memtable's operations and this one change the same place.
bool Written(const Memtable& m, const Op& op) {
  if (op.kind != OpKind::kDeleteRange) return m.LatestSequence(op.keyspace, op.key) != 0;
  const KeyRange r = {0, std::string(op.key), std::string(op.value), op.value.empty()};
  if (m.RangeDeletedSince(op.keyspace, op.key, op.value, 0)) return true;
  const auto it = m.NewIterator(op.keyspace);
  if (it == nullptr) return false;
  it->Seek(r.low, kMaxTag);
  return it->valid() && (r.to_last || it->key() < Slice(r.high));
}

}  // namespace

Status CheckAgainst(const TxnFootprint& footprint, Slice batch) {
  BatchWalker walker(batch);
  std::string scratch;
  for (Op op; walker.Next(&op);) {
    for (size_t i = 0; i < footprint.keyspaces.size(); ++i) {
      const KeyspaceImpl& ks = *footprint.keyspaces[i];
      if (ks.id() == op.keyspace && Touches(footprint.keys[i], op, &scratch)) return Conflict(ks);
    }
    for (const KeyRange& r : footprint.ranges) {
      const KeyspaceImpl& ks = *footprint.keyspaces[r.keyspace];
      if (ks.id() == op.keyspace && Touches(r, op)) return Conflict(ks);
    }
    const KeyspaceImpl* ks = footprint.Find(op.keyspace);
    if (ks != nullptr && Written(*footprint.written, op)) return Conflict(*ks);
  }
  return Status();
}

// For good only where the caller holds the write token; otherwise a conflict is certain, and none
// is not.
Status DbImpl::CheckFootprint(const TxnFootprint& footprint, Sequence* looked_at) {
  // The sequence before the view, which then holds every commit up to it. Reads have it the other
  // way round.
  const Sequence newest = last_seq();
  Sequence in_view = 0;
  RefPtr<View> view = AcquireView(&in_view);
  if (looked_at != nullptr) *looked_at = newest;
  if (newest == footprint.since) return Status();
  Epoch::Guard guard(epoch_);
  bool changed = false;
  for (size_t i = 0; i < footprint.keyspaces.size(); ++i) {
    const KeyspaceImpl& ks = *footprint.keyspaces[i];
    if (ks.dropped() && footprint.Read(i)) return Conflict(ks);
    const KeyspaceVersion* kv = view->version->Find(ks.slot(), ks.id());
    for (const std::string& key : footprint.keys[i]) {
      KIST_TRY(KeyChanged(*view, kv, ks.id(), key, footprint.since, &changed));
      if (changed) return Conflict(ks);
    }
  }
  for (const KeyRange& r : footprint.ranges) {
    if (Planted(Bug::kTxnRangeMissed)) break;
    const KeyspaceImpl& ks = *footprint.keyspaces[r.keyspace];
    KIST_TRY(RangeChanged(*view, view->version->Find(ks.slot(), ks.id()), ks.id(), r,
                          footprint.since, &changed));
    if (changed) return Conflict(ks);
  }
  if (footprint.batch.empty()) return Status();
  const KeyspaceImpl* ks = nullptr;
  const KeyspaceVersion* kv = nullptr;
  BatchWalker walker(footprint.batch);
  for (Op op; walker.Next(&op);) {
    if (ks == nullptr || ks->id() != op.keyspace) {
      ks = footprint.Find(op.keyspace);
      if (ks == nullptr) return Status::Bare(Code::kInternal);
      kv = view->version->Find(ks->slot(), ks->id());
    }
    if (op.kind == OpKind::kDeleteRange) {
      const KeyRange r = {0, std::string(op.key), std::string(op.value), op.value.empty()};
      KIST_TRY(RangeChanged(*view, kv, ks->id(), r, footprint.since, &changed));
    } else {
      KIST_TRY(KeyChanged(*view, kv, ks->id(), op.key, footprint.since, &changed));
    }
    if (changed) return Conflict(*ks);
  }
  return Status();
}

}  // namespace kist
