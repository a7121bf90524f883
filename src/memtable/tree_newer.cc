// Leaping over what is older than a sequence: descents that leave out subtrees to which nothing as
// new was added. A subtree that is passed moves the place to its fence, so that a search that has
// to begin again, at the next ancestor or because a node has changed, goes on from there. See
// tree.h. Threads: any beside the writer.
#include "memtable/tree.h"
#include "memtable/tree_iterator.h"

namespace kist {

Tree::Found Tree::TryNewerUp(Place* place, const Slice* end, Sequence seq,
                             NodeView* out) const noexcept {
  NodeView view;
  uint32_t level = 0;
  if (!TryRoot(&view, &level)) return Found::kAgain;
  for (; level > 0; --level) {
    int pos = view.LowerBound(1, {place->key, place->age + 1});
    if (pos < 0) return Found::kAgain;
    NodeView next;
    for (--pos;;) {
      const Node* child = view.Child(pos);
      if (child == nullptr) return Found::kAgain;
      const uint64_t newest = child->newest.load(std::memory_order_acquire);
      next = NodeView(child);
      if (!view.Current()) return Found::kAgain;
      if (newest >= seq) break;
      const bool last = ++pos == view.count();
      const EntryPtr fence =
          last ? view.node()->high.load(std::memory_order_acquire) : view.Entry(pos);
      if (!view.Current()) return Found::kAgain;
      if (fence == nullptr || (end != nullptr && EntryKey(fence) >= *end)) return Found::kNone;
      *place = PlaceOf(fence);
      if (last) return Found::kAgain;
    }
    view = next;
  }
  *out = view;
  return Found::kLeaf;
}

bool Tree::FindNewerUp(Place* place, const Slice* end, Sequence seq,
                       NodeView* leaf) const noexcept {
  for (;;) {
    const Found found = TryNewerUp(place, end, seq, leaf);
    if (found != Found::kAgain) return found == Found::kLeaf;
  }
}

// The place is what the search is before.
Tree::Found Tree::TryNewerDown(Place* place, Slice begin, Sequence seq,
                               NodeView* out) const noexcept {
  NodeView view;
  uint32_t level = 0;
  if (!TryRoot(&view, &level)) return Found::kAgain;
  for (; level > 0; --level) {
    int pos = view.LowerBound(1, *place);
    if (pos < 0) return Found::kAgain;
    NodeView next;
    for (--pos;;) {
      const Node* child = view.Child(pos);
      if (child == nullptr) return Found::kAgain;
      const uint64_t newest = child->newest.load(std::memory_order_acquire);
      next = NodeView(child);
      if (!view.Current()) return Found::kAgain;
      if (newest >= seq) break;
      const bool first = pos-- == 0;
      const EntryPtr fence =
          first ? view.node()->low.load(std::memory_order_acquire) : view.Entry(pos + 1);
      if (!view.Current()) return Found::kAgain;
      if (fence == nullptr || EntryKey(fence) < begin) return Found::kNone;
      *place = PlaceOf(fence);
      if (first) return Found::kAgain;
    }
    view = next;
  }
  *out = view;
  return Found::kLeaf;
}

bool Tree::FindNewerDown(Place* place, Slice begin, Sequence seq, NodeView* leaf) const noexcept {
  for (;;) {
    const Found found = TryNewerDown(place, begin, seq, leaf);
    if (found != Found::kAgain) return found == Found::kLeaf;
  }
}

// The first entry of the leaf from the place on that ends the leap. Invalid without a place to go
// on from: entry_ is then where the next leaf begins.
bool TreeIterator::TakeUp(const NodeView& leaf, const Place& place, const Slice* end,
                          Sequence seq) {
  const int from = leaf.LowerBound(0, place);
  if (from < 0 || !TakeLeaf(leaf)) return false;
  for (int pos = from; pos < leaf_.count(); ++pos) {
    if (!Take(pos)) return false;
    if (TagSequence(tag_) >= seq || (end != nullptr && key_ >= *end)) return true;
  }
  valid_ = false;
  entry_ = leaf_.node()->high.load(std::memory_order_acquire);
  return leaf_.Current();
}

void TreeIterator::PassUp(Slice end, Sequence seq) {
  const Slice* const bound = end.empty() ? nullptr : &end;
  if (TagSequence(tag_) >= seq || (bound != nullptr && key_ >= end)) return;
  Place place = PlaceOf(entry_);
  for (;;) {
    NodeView leaf;
    if (!tree_->FindNewerUp(&place, bound, seq, &leaf)) {
      valid_ = false;
      if (bound != nullptr) Seek(end, kMaxTag);
      return;
    }
    if (!TakeUp(leaf, place, bound, seq)) continue;
    if (valid_ || entry_ == nullptr) return;
    place = PlaceOf(entry_);
  }
}

bool TreeIterator::TakeDown(const NodeView& leaf, const Place& place, Slice begin, Sequence seq) {
  const int from = leaf.LowerBound(0, place);
  if (from < 0 || !TakeLeaf(leaf)) return false;
  for (int pos = from; pos-- > 0;) {
    if (!Take(pos)) return false;
    if (TagSequence(tag_) >= seq || key_ < begin) return true;
  }
  valid_ = false;
  entry_ = leaf_.node()->low.load(std::memory_order_acquire);
  return leaf_.Current();
}

void TreeIterator::PassDown(Slice begin, Sequence seq) {
  if (TagSequence(tag_) >= seq || key_ < begin) return;
  Place place = PlaceOf(entry_);
  for (;;) {
    NodeView leaf;
    if (!tree_->FindNewerDown(&place, begin, seq, &leaf)) {
      valid_ = false;
      SeekBefore(begin, kMaxTag);
      return;
    }
    if (!TakeDown(leaf, place, begin, seq)) continue;
    if (valid_ || entry_ == nullptr) return;
    place = PlaceOf(entry_);
  }
}

}  // namespace kist
