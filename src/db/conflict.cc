// Whether a commit after a given sequence changed what a transaction depends on.
//
// The answer comes from the data itself: while the transaction's snapshot is registered, the newest
// version of every key stays findable with its sequence, deletes and range deletes included. Only
// sources that hold anything newer than the snapshot are asked.
#include "db/db_impl.h"
#include "db/txn.h"

namespace kist {
namespace {

Status Conflict(const Keyspace& ks) {
  return Status::Error(
      Code::kConflict,
      "a later commit changed what the transaction read or wrote in keyspace '" + ks.name() + "'");
}

bool TombstoneIn(const RangeTombstoneSet* set, const KeyRange& r, Sequence since) {
  if (set == nullptr) return false;
  for (const auto& f : set->fragments()) {
    if (!r.to_last && f.begin >= Slice(r.high)) break;
    if (!f.end.empty() && f.end <= Slice(r.low)) continue;
    if (f.seq_count > 0 && set->seqs(f)[0] > since) return true;
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
  if (kv == nullptr) return Status();
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
    const auto set = m->RangeTombstones(id);
    if (TombstoneIn(set.get(), r, since)) return *changed = true, Status();
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

}  // namespace

// For good only where the caller holds the write token; otherwise a conflict is certain, and none
// is not.
Status DbImpl::CheckFootprint(const TxnFootprint& footprint) {
  Sequence newest = 0;
  RefPtr<View> view = AcquireView(&newest);
  if (newest == footprint.since) return Status();
  Epoch::Guard guard(epoch_);
  bool changed = false;
  for (size_t i = 0; i < footprint.keyspaces.size(); ++i) {
    const KeyspaceImpl& ks = *footprint.keyspaces[i];
    const KeyspaceVersion* kv = view->version->Find(ks.slot(), ks.id());
    for (const std::string& key : footprint.keys[i]) {
      KIST_TRY(KeyChanged(*view, kv, ks.id(), key, footprint.since, &changed));
      if (changed) return Conflict(ks);
    }
  }
  for (const KeyRange& r : footprint.ranges) {
    const KeyspaceImpl& ks = *footprint.keyspaces[r.keyspace];
    KIST_TRY(RangeChanged(*view, view->version->Find(ks.slot(), ks.id()), ks.id(), r,
                          footprint.since, &changed));
    if (changed) return Conflict(ks);
  }
  return Status();
}

}  // namespace kist
