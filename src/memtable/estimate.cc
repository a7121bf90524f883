// How much of a memtable a range of keys is, without a walk over all of it: a few entries are
// measured, and the shape of the tree says which part of the range they are.
// Threads: any beside the writer.
#include <algorithm>

#include "memtable/tree.h"
#include "memtable/tree_iterator.h"

namespace kist {
namespace {

constexpr int kMeasured = 2048;  // entries; a range of fewer is exact

}  // namespace

// Each child counts as much as it has children or entries itself.
bool Tree::TryPartBefore(const Place& place, double* part) const noexcept {
  NodeView view;
  uint32_t level = 0;
  if (!TryRoot(&view, &level)) return false;
  double before = 0;
  double width = 1;
  for (; level > 0; --level) {
    const int pos = view.LowerBound(1, place) - 1;
    if (pos < 0) return false;
    int left = 0;
    int all = 0;
    NodeView next;
    for (int i = 0; i < view.count(); ++i) {
      const Node* child = view.Child(i);
      if (child == nullptr) return false;
      const NodeView look(child);
      if (i < pos) left += look.count();
      if (i == pos) next = look;
      all += look.count();
    }
    if (!view.Current() || all == 0) return false;
    before += width * left / all;
    width *= static_cast<double>(next.count()) / all;
    view = next;
  }
  const int pos = view.LowerBound(0, place);
  const int count = view.count();
  if (pos < 0 || !view.Current()) return false;
  *part = before + (count == 0 ? 0 : width * pos / count);
  return true;
}

double Tree::PartBefore(const Place& place) const noexcept {
  double part = 0;
  while (!TryPartBefore(place, &part)) {
  }
  return part;
}

uint64_t Tree::ApproximateBytes(Slice begin, Slice end) const noexcept {
  if (empty() || (!end.empty() && begin >= end)) return 0;
  TreeIterator it(this);
  uint64_t bytes = 0;
  int measured = 0;
  for (it.Seek(begin, kMaxTag); it.valid() && (end.empty() || it.key() < end); it.Next()) {
    if (measured++ == kMeasured) break;
    bytes += kEntryHead + it.key().size() + it.value().size();
  }
  if (measured <= kMeasured) return bytes;
  const double from = PartBefore({begin, 0});
  const double here = PartBefore({it.key(), 0});
  const double to = end.empty() ? 1 : PartBefore({end, 0});
  return here <= from || to <= here
             ? bytes
             : static_cast<uint64_t>(static_cast<double>(bytes) * (to - from) / (here - from));
}

}  // namespace kist
