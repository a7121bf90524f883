// TxnIterator: an iterator of a transaction: the database's, over snapshot and own writes, that
// also remembers which ranges it passed over, for serializable transactions and FOR_UPDATE.
//
// Invariant: [low_, high_] is what was looked at since the last seek: from where the seek asked to
// where the position is, in either direction. The transaction takes it over at each seek, at the
// iterator's end, and at commit. Threads: the transaction's.
#pragma once

#include <memory>
#include <string>

#include "db/txn.h"

namespace kist {

class TxnIterator final : public DbIterator {
 public:
  TxnIterator(TxnImpl* txn, RefPtr<KeyspaceImpl> keyspace, const IterOptions& options);
  ~TxnIterator() override;
  Status Open();  // at first, and for Refresh
  // The transaction has ended. What the last call lent stays until the next one.
  void Detach();

  void SeekToFirst() override;
  void SeekToLast() override;
  void SeekGe(Slice key) override;
  void SeekGt(Slice key) override { SeekUp(key, true); }
  void SeekLe(Slice key) override;
  void SeekLt(Slice key) override { SeekDown(key, false); }
  void StepNext() override;
  void StepPrev() override;
  void HoldEntries(bool on) override;
  void ReleaseHeld() override;
  Status Refresh() override;
  // Gives what was passed over to the transaction's footprint.
  void Report();

 private:
  void SeekUp(Slice key, bool after);
  void SeekDown(Slice key, bool inclusive);
  bool Alive();
  bool Begin(std::string at, bool to_last);
  void Widen();  // to the position
  void Take();

  TxnImpl* txn_;
  const RefPtr<KeyspaceImpl> keyspace_;
  const bool remembers_;  // what it passes over
  IterOptions options_;
  std::string lower_, upper_;  // options_ points into them
  std::unique_ptr<DbIterator> base_;
  bool holding_ = false;
  bool tracking_ = false;  // a range is open
  std::string low_, high_;
  bool to_last_ = false;
};

}  // namespace kist
