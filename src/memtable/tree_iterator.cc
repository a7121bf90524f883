// Steps and seeks over a tree, and the fetching of what comes next. A leaf that was looked at ahead
// is taken only if it and the one before it are what they were then. See tree_iterator.h.
// Threads: one at a time, beside the memtable's writer.
#include "memtable/tree_iterator.h"

#include <algorithm>

namespace kist {
inline void TreeIterator::FetchAt(int pos, int way) {
  const int n = leaf_.count();
  const int left = way > 0 ? n - pos : pos + 1;  // of the leaf, from `pos` on
  if (left > 0) {
    FetchEntry(leaf_.node()->entries()[order_[pos]].load(std::memory_order_relaxed));
  } else if (ahead_way_ == way) {
    const int at = way > 0 ? -left : ahead_.count() - 1 + left;
    if (at >= 0 && at < ahead_.count()) FetchEntry(ahead_.Entry(at));
  }
  if (left <= kLookAhead && ahead_way_ != way) LookAhead(way);
}

inline void TreeIterator::FetchStep(int way) {
  if (fetched_ <= kFetchMax) {  // one more than was used up
    FetchAt(pos_ + fetched_ * way, way);
    ++fetched_;
  }
  FetchAt(pos_ + fetched_ * way, way);
}

void TreeIterator::FetchFirst(int pos, int way) {
  fetched_ = kFetchFirst;
  for (int i = 0; i < kFetchFirst && pos >= 0 && pos < leaf_.count(); ++i, pos += way) {
    FetchEntry(leaf_.node()->entries()[order_[pos]].load(std::memory_order_relaxed));
  }
}

void TreeIterator::LookAhead(int way) {
  ahead_way_ = 0;
  const Node* node = leaf_.node();
  const EntryPtr fence = (way > 0 ? node->high : node->low).load(std::memory_order_acquire);
  if (fence == nullptr || !leaf_.Current()) return;
  ahead_ = tree_->Descend(PlaceOf(fence), way > 0 ? Tree::Way::kTo : Tree::Way::kBefore);
  ahead_way_ = way;
}

bool TreeIterator::TakeAhead(int way) {
  // The leaf that was next to this one is so still if both are what they were.
  if (ahead_way_ != way || ahead_.count() == 0 || !leaf_.Current()) return false;
  return TakeLeaf(ahead_) && Take(way > 0 ? 0 : ahead_.count() - 1);
}

bool TreeIterator::TakeLeaf(const NodeView& leaf) {
  leaf_ = leaf;
  ahead_way_ = 0;
  leaf.CopyOrder(order_);
  if (!leaf.Current()) return false;
  if (const EntryPtr low = leaf.node()->low.load(std::memory_order_acquire))
    __builtin_prefetch(low);
  if (const EntryPtr high = leaf.node()->high.load(std::memory_order_acquire))
    __builtin_prefetch(high);
  return true;
}

bool TreeIterator::Take(int pos) {
  const EntryPtr e = leaf_.node()->entries()[order_[pos]].load(std::memory_order_acquire);
  if (!leaf_.Current()) return false;
  Stand(pos, e);
  return true;
}

inline void TreeIterator::Stand(int pos, EntryPtr e) {
  pos_ = pos;
  entry_ = e;
  key_ = EntryKey(e);
  tag_ = EntryTag(e);
  value_ = EntryValue(e);
  valid_ = true;
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
    FetchFirst(pos, 1);
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
    FetchFirst(0, 1);
  } while (!Take(0));
}

void TreeIterator::SeekBehind(const Place& place) {
  for (;;) {
    const NodeView leaf = tree_->Descend(place, Tree::Way::kBefore);
    const int pos = leaf.LowerBound(0, place);
    if (pos < 0 || !TakeLeaf(leaf)) continue;
    valid_ = false;
    if (pos == 0) return;  // invariant 2 of tree.h
    FetchFirst(pos - 1, -1);
    if (Take(pos - 1)) return;
  }
}

void TreeIterator::SeekToLast() {
  for (;;) {
    if (!TakeLeaf(tree_->Descend({}, Tree::Way::kLast))) continue;
    valid_ = false;
    if (leaf_.count() == 0) return;
    FetchFirst(leaf_.count() - 1, -1);
    if (Take(leaf_.count() - 1)) return;
  }
}

// The rest of the leaf at most, all of it asked for at once, with what comes first in the next
// leaf.
size_t TreeIterator::Run(bool forward, const Slice* bound, InternalEntry* out, size_t max,
                         uint64_t* repeats) {
  *repeats = ~uint64_t{0};
  const int way = forward ? 1 : -1;
  const int left = forward ? leaf_.count() - pos_ : pos_ + 1;
  int n = static_cast<int>(std::min(max, static_cast<size_t>(left)));
  EntryPtr found[kNodeSlots];
  for (int i = 0; i < n; ++i) {
    found[i] = leaf_.node()->entries()[order_[pos_ + i * way]].load(std::memory_order_acquire);
    FetchEntry(found[i]);
  }
  if (!leaf_.Current()) {
    n = 1;
    found[0] = entry_;
  } else if (left - n <= kLookAhead) {
    if (ahead_way_ != way) LookAhead(way);
    fetched_ = std::min(left - n + kFetchFirst, kFetchMax);
    for (int i = 1; i <= fetched_; ++i) FetchAt(pos_ + (n - 1 + i) * way, way);
  } else {
    fetched_ = 0;
  }
  int taken = 0;
  for (; taken < n; ++taken) {
    const EntryPtr e = found[taken];
    const Slice key = EntryKey(e);
    if (taken > 0 && bound != nullptr && (forward ? key >= *bound : key <= *bound)) break;
    out[taken] = {key, EntryTag(e), EntryValue(e)};
  }
  Stand(pos_ + (taken - 1) * way, found[taken - 1]);
  return static_cast<size_t>(taken);
}

void TreeIterator::Next() {
  FetchStep(1);
  if (pos_ + 1 < leaf_.count() ? Take(pos_ + 1) : TakeAhead(1)) return;
  const Place here = PlaceOf(entry_);
  SeekFrom({here.key, here.age + 1});
}

void TreeIterator::Prev() {
  FetchStep(-1);
  if (pos_ > 0 ? Take(pos_ - 1) : TakeAhead(-1)) return;
  SeekBehind(PlaceOf(entry_));
}

}  // namespace kist
