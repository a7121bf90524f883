// DbIteratorImpl: the visible entries of one keyspace as of one commit, in both directions.
//
// Below it a merge of all sources yields every version, keys ascending and versions newest first;
// this iterator picks for each key the newest version that its sequence sees and drops the key
// where that is a tombstone, covered by a range tombstone, or expired.
//
// Invariants
//  1. Versions are taken from merged_ in runs; merged_ stands on the last version taken. Entries of
//     run_ that were not yielded yet point into what merged_ stands in. The one yielded does so
//     too, or into what sink_ keeps.
//  2. Backwards, where versions come oldest first, the last key of a run may have newer ones before
//     it: the best so far waits in pending_ for the next run.
//  3. Its keyspace's tables and memtables, and no others, are held until it goes or is refreshed.
//  4. Time is fixed at creation: what has not expired then stays for the iterator's life.
// Threads: one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "db/db.h"
#include "db/keyspaces.h"
#include "db/snapshots.h"
#include "db/txn.h"
#include "db/view.h"
#include "iter/merging_iterator.h"

namespace kist {

class DbImpl;

// The bounds that a prefix leaves of others; upper counts where there is one.
void NarrowToPrefix(Slice prefix, std::string* lower, std::string* upper, bool* has_upper);

class DbIteratorImpl final : public DbIterator {
  // Few after a seek, which may be all that is asked; more as the iterator goes on.
  static constexpr size_t kRunFirst = 4;
  static constexpr size_t kRunGrowth = 2;
  static constexpr size_t kRunMax = InternalIterator::kRunMax;

 public:
  DbIteratorImpl(DbImpl* db, RefPtr<KeyspaceImpl> keyspace, const IterOptions& options);
  ~DbIteratorImpl() override;
  Status Open();  // builds the sources; again after each Refresh

  void SeekToFirst() override;
  void SeekToLast() override;
  void SeekGe(Slice key) override;
  void SeekGt(Slice key) override;
  void SeekLe(Slice key) override;
  void SeekLt(Slice key) override;
  void HoldEntries(bool on) override {
    holding_ = on;
    sink_.active = on || backwards_;
  }
  void ReleaseHeld() override;
  Status Refresh() override;

 private:
  void TakeSets(const Memtable& m, Sequence seq);
  Status TakeTableSets(const KeyspaceVersion& kv);
  Status AddTables(const KeyspaceVersion& kv, const ReadContext& context,
                   std::vector<std::unique_ptr<InternalIterator>>* sources);
  std::unique_ptr<InternalIterator> Wrap(std::unique_ptr<InternalIterator> base,
                                         Sequence largest_seq);
  void StepNext() override;
  void StepPrev() override;
  bool Ready(bool backwards);
  bool Resume(bool backwards);
  // From merged_'s position on, to the first visible entry; versions of saved_ are passed over
  // where `skip` is set.
  void SettleForward(bool skip);
  size_t KeepForward(size_t n, uint64_t repeats, bool* skip);
  void SettleBackward();
  size_t KeepBackward(size_t kept, size_t n, uint64_t repeats);
  size_t FinishPending();
  void Yield(size_t kept);
  size_t NextRunMax();
  // Whether a reader sees the version; takes the expiry off its value where it does.
  bool Visible(InternalEntry* e);
  void End(Position position);
  bool Sees(uint64_t tag) const {
    const Sequence seq = TagSequence(tag);
    return seq <= seq_ || (seq <= own_limit_ && seq > kTxnBase);
  }
  // To seek for the newest version that is seen.
  uint64_t NewestTag() const { return SeekTag(own_limit_ != 0 ? own_limit_ : seq_); }
  bool BelowLower(Slice key) const { return !lower_.empty() && key < Slice(lower_); }

  DbImpl* const db_;
  const RefPtr<KeyspaceImpl> keyspace_;
  const bool explicit_snapshot_;
  const bool fill_cache_;
  const RefPtr<Memtable> own_;  // a transaction's writes; null: none
  const Sequence own_limit_;    // the newest of them that is seen; 0: none
  // What an explicit snapshot sees stays for Refresh when that is freed.
  std::optional<SnapshotNode> kept_;
  Sequence seq_ = 0;
  int64_t time_ms_ = 0;
  std::string lower_;
  std::string upper_;
  bool has_upper_ = false;
  bool empty_range_ = false;
  MemoryCharge charge_;

  std::vector<RefPtr<Memtable>> memtables_;
  RefPtr<KeyspaceVersion> tables_;
  size_t extra_level0_ = 0;  // its files of level 0 in range, beyond the first
  PinSink sink_;
  std::vector<RefPtr<Table>> tombstone_tables_;
  std::vector<std::shared_ptr<const RangeTombstoneSet>> memtable_sets_;
  std::vector<RangeCoverCursor::Part> tombstones_;  // of commits up to seq_, of own_ to own_limit_
  RangeCoverCursor cover_{&tombstones_};
  std::unique_ptr<InternalIterator> merged_;
  std::string saved_;
  bool backwards_ = false;
  bool holding_ = false;

  InternalEntry run_[kRunMax];
  size_t run_max_ = kRunFirst;
  // Forwards: the key of the last version taken that was seen, and how many behind it decided
  // nothing; whether the last of these was too new to be seen.
  Slice last_key_;
  uint32_t passed_ = 0;
  bool passed_unseen_ = false;
  // Backwards: merged_ stands on a version of this key, of which no newer one was looked at yet.
  // Only the key counts where none was seen.
  bool pending_ = false;
  bool pending_seen_ = false;
  InternalEntry pending_entry_ = {};
};

}  // namespace kist
