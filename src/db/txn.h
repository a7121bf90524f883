// TxnImpl: a transaction: a snapshot to read from, a memtable and a packed batch of its own for its
// writes, and notes of what it read. Optimistic: nothing is locked. Commit takes the write token,
// asks whether a commit after its snapshot changed anything that it depends on (what it writes,
// keys read FOR_UPDATE, and under serializable every key and range it looked at), and only then
// writes its batch, so that nothing can come between question and answer. What was changed is read
// off the data: a registered snapshot keeps the newest version of every key findable. Invariants
//  1. The n-th operation has the sequence kTxnBase + n in its memtable, above every commit's: its
//     writes come first in reads and merges, and a limit of kTxnBase + n shows exactly n of them.
//  2. batch_ and memtable_ hold the same operations. After a rollback the memtable is made anew of
//     what is left of the batch; iterators and pins keep the old one.
//  3. The memtable counts itself: as the transaction's until that lets go of it, then as an old
//     one, for as long as an iterator or a pin keeps it. charge_ counts at least what else writes
//     and reads take; they are refused where the budget refuses the growth of both.
// Threads: one at a time; isolation holds against every other commit, plain writes included.
#pragma once

#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "batch/packed_batch.h"
#include "db/db.h"
#include "memtable/memtable.h"
#include "util/memory_budget.h"

namespace kist {

class DbImpl;
class KeyspaceImpl;

constexpr Sequence kTxnBase = Sequence{1} << 55;
static_assert(kTxnBase < kMaxSequence, "transaction-local sequences fit a tag");

// A range of keys that was read or is to be written: [low, high), or from low on.
struct KeyRange {
  uint32_t keyspace = 0;
  std::string low;
  std::string high;
  bool to_last = false;
};

// What a commit depends on: what was read, and what the batch writes.
struct TxnFootprint {
  Sequence since = 0;                                 // changes of later commits conflict
  std::vector<std::unordered_set<std::string>> keys;  // read; by position of keyspaces
  std::vector<RefPtr<KeyspaceImpl>> keyspaces;        // of reads and writes
  std::vector<KeyRange> ranges;                       // read
  Slice batch;                                        // empty: nothing is written
  const Memtable* written = nullptr;                  // the batch's operations
  size_t bytes = 0;                                   // about what keys and ranges take

  void AddKey(KeyspaceImpl* ks, Slice key);
  void AddRange(KeyspaceImpl* ks, Slice low, Slice high, bool to_last);
  void MergeRanges();  // those that overlap or touch become one
  size_t Position(KeyspaceImpl* ks);
  const KeyspaceImpl* Find(uint32_t id) const;
  bool Read(size_t position) const;  // anything of this keyspace
};

// kConflict where the batch, which would commit first, changes what the footprint names.
// conflict.cc
Status CheckAgainst(const TxnFootprint& footprint, Slice batch);

class TxnIterator;

class TxnImpl final : public Txn {
 public:
  TxnImpl(DbImpl* db, std::unique_ptr<Snapshot> snapshot, bool serializable);
  ~TxnImpl() override;

  Status Put(Keyspace* ks, Slice key, Slice value, int64_t ttl_ms) override;
  Status Delete(Keyspace* ks, Slice key) override;
  Status DeleteRange(Keyspace* ks, Slice begin, Slice end) override;
  Status Savepoint() override;
  Status RollbackTo() override;
  Status Get(Keyspace* ks, Slice key, bool for_update, bool fill_cache, ReadFound* found) override;
  Result<std::unique_ptr<DbIterator>> NewIterator(Keyspace* ks,
                                                  const IterOptions& options) override;
  Status Commit(Durability durability, Sequence* seq) override;
  size_t memory_bytes() const override;
  int64_t time_ms() const override { return snapshot_->time_ms; }

 private:
  friend class TxnIterator;
  struct Mark {
    size_t bytes = 0;
    uint32_t count = 0;
    uint32_t keyspaces = 0;
  };
  Mark Here() const;
  void BackTo(const Mark& mark);
  Status Write(OpKind kind, Keyspace* ks, Slice key, Slice value, int64_t ttl_ms);
  Status Apply(const Op& op, uint32_t index, RefPtr<Memtable>* memtable);
  // Before it grows by `more` bytes. kNoMem: memory_budget.
  Status Charge(size_t more);
  size_t counted_apart() const { return memtable_ ? memtable_->counted_bytes() : 0; }
  Sequence Limit() const { return kTxnBase + batch_.count(); }

  DbImpl* const db_;
  const std::unique_ptr<Snapshot> snapshot_;
  const bool serializable_;
  BatchBuilder batch_{kRecordHeadroom};
  RefPtr<Memtable> memtable_;
  std::vector<Mark> savepoints_;
  TxnFootprint footprint_;  // since and the batch are set at the commit
  std::vector<RefPtr<KeyspaceImpl>> written_keyspaces_;
  std::vector<TxnIterator*> iterators_;  // live ones, which know what they passed over
  bool ended_ = false;
  size_t admitted_ = sizeof(TxnImpl);  // bytes that the budget has not refused
  MemoryCharge charge_;

  static constexpr size_t kRecordHeadroom = 40;
};

}  // namespace kist
