// TreeIterator: a memtable's entries of one keyspace in order, both ways, beside the writer. It
// borrows the memtable.
// It keeps a leaf, the publication it looked at and that publication's order. A step within the
// leaf is two loads and a check; where the leaf has changed it descends again to the place of its
// current entry. Entries lie all over the arena, so they are fetched ahead of the steps.
// Invariants:
//  1. From one position to the next, no entry that was there before the step began is passed over.
// Threads: one at a time, beside the memtable's writer.
#pragma once

#include "iter/internal_iterator.h"
#include "memtable/tree.h"

namespace kist {

class TreeIterator final : public InternalIterator {
 public:
  explicit TreeIterator(const Tree* tree) : tree_(tree) {}

  void SeekToFirst() override { SeekFrom({Slice(), 0}); }
  void SeekToLast() override;
  void Seek(Slice key, uint64_t tag) override { SeekFrom(SeekPlace(key, tag)); }
  void SeekBefore(Slice key, uint64_t tag) override { SeekBehind(SeekPlace(key, tag)); }
  void Next() override;
  void Prev() override;
  void PassUp(Slice end, Sequence seq) override;
  void PassDown(Slice begin, Sequence seq) override;
  size_t Run(bool forward, const Slice* bound, InternalEntry* out, size_t max,
             uint64_t* repeats) override;

 private:
  // Entries are fetched some steps before they are needed: few after a seek, more as the iterator
  // goes on the same way. The next leaf is looked for kLookAhead steps before its first entry is
  // fetched.
  static constexpr int kFetchFirst = 6;
  static constexpr int kFetchMax = 24;
  static constexpr int kLookAhead = 12;

  bool TakeUp(const NodeView& leaf, const Place& place, const Slice* end, Sequence seq);
  bool TakeDown(const NodeView& leaf, const Place& place, Slice begin, Sequence seq);
  void SeekFrom(const Place& place);    // to the first entry not before the place
  void SeekBehind(const Place& place);  // to the last entry before the place
  void Hop(EntryPtr high);              // to the first entry of the leaf that begins at `high`
  bool TakeLeaf(const NodeView& leaf);  // false: changed meanwhile
  bool Take(int pos);                   // false: changed meanwhile
  void Stand(int pos, EntryPtr e);
  // The step that passes the end of the leaf; false: changed meanwhile, or not looked ahead.
  bool TakeAhead(int way);
  void FetchFirst(int pos, int way);
  void FetchStep(int way);
  void FetchAt(int pos, int way);  // which may be past the leaf's end
  void LookAhead(int way);

  const Tree* const tree_;
  NodeView leaf_;
  int pos_ = 0;
  int fetched_ = 0;  // entries behind pos_ (on the way taken) that were fetched
  EntryPtr entry_ = nullptr;
  uint8_t order_[kNodeSlots];
  int ahead_way_ = 0;  // 1: ahead_ is the leaf behind leaf_, -1: the one before it, 0: neither
  NodeView ahead_;
};

}  // namespace kist
