// Steps and seeks over a tree; see tree_iterator.h.
// Threads: one at a time, beside the memtable's writer.
#include "memtable/tree_iterator.h"

namespace kist {

void TreeIterator::Fetch(int pos) const {
  if (pos >= 0 && pos < leaf_.count()) {
    __builtin_prefetch(leaf_.node()->entries()[order_[pos]].load(std::memory_order_relaxed));
  }
}

bool TreeIterator::TakeLeaf(const NodeView& leaf) {
  leaf_ = leaf;
  leaf.CopyOrder(order_);
  return leaf.Current();
}

bool TreeIterator::Take(int pos) {
  const EntryPtr e = leaf_.node()->entries()[order_[pos]].load(std::memory_order_acquire);
  if (!leaf_.Current()) return false;
  pos_ = pos;
  entry_ = e;
  key_ = EntryKey(e);
  tag_ = EntryTag(e);
  value_ = EntryValue(e);
  valid_ = true;
  return true;
}

void TreeIterator::SeekFrom(const Place& place) {
  for (;;) {
    const NodeView leaf = tree_->Descend(place, Tree::Way::kTo);
    const int pos = leaf.LowerBound(0, place);
    if (pos < 0 || !TakeLeaf(leaf)) continue;
    if (pos == leaf.count()) {
      const EntryPtr high = leaf.node()->high.load(std::memory_order_acquire);
      if (!leaf.Current()) continue;
      return Hop(high);
    }
    for (int i = 1; i < kFetchAhead; ++i) Fetch(pos + i);
    if (Take(pos)) return;
  }
}

void TreeIterator::Hop(EntryPtr high) {
  valid_ = false;
  if (high == nullptr) return;
  const Place place = PlaceOf(high);
  do {
    while (!TakeLeaf(tree_->Descend(place, Tree::Way::kTo))) {
    }
    for (int i = 1; i < kFetchAhead; ++i) Fetch(i);
  } while (!Take(0));
}

void TreeIterator::SeekBehind(const Place& place) {
  for (;;) {
    const NodeView leaf = tree_->Descend(place, Tree::Way::kBefore);
    const int pos = leaf.LowerBound(0, place);
    if (pos < 0 || !TakeLeaf(leaf)) continue;
    valid_ = false;
    if (pos == 0) return;  // invariant 2 of tree.h
    for (int i = 2; i < kFetchAhead; ++i) Fetch(pos - i);
    if (Take(pos - 1)) return;
  }
}

void TreeIterator::SeekToLast() {
  for (;;) {
    if (!TakeLeaf(tree_->Descend({}, Tree::Way::kLast))) continue;
    valid_ = false;
    if (leaf_.count() == 0) return;
    for (int i = 2; i < kFetchAhead; ++i) Fetch(leaf_.count() - i);
    if (Take(leaf_.count() - 1)) return;
  }
}

void TreeIterator::Next() {
  if (pos_ + 1 < leaf_.count()) {
    Fetch(pos_ + kFetchAhead);
    if (Take(pos_ + 1)) return;
  } else {
    const EntryPtr high = leaf_.node()->high.load(std::memory_order_acquire);
    if (leaf_.Current()) return Hop(high);
  }
  const Place here = PlaceOf(entry_);
  SeekFrom({here.key, here.age + 1});
}

void TreeIterator::Prev() {
  if (pos_ > 0) {
    Fetch(pos_ - kFetchAhead);
    if (Take(pos_ - 1)) return;
  }
  SeekBehind(PlaceOf(entry_));
}

}  // namespace kist
