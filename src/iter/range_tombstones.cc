// RangeTombstoneSet: cutting overlapping range tombstones into fragments. See range_tombstones.h.
//
// A sweep over all ends of ranges in key order keeps the sequences of the ranges that are open;
// between two ends they do not change, which is a fragment. Neighbours with the same sequences are
// joined again.
#include "iter/range_tombstones.h"

#include <algorithm>
#include <functional>
#include <set>

namespace kist {

namespace {

// An end of a tombstone. A key is covered from its begin on and no more at its end.
struct Boundary {
  Slice key;
  bool opens;
  Sequence seq;
};

}  // namespace

// Appends fragments to a set, in order.
class RangeTombstoneSet::Builder {
 public:
  Builder(RangeTombstoneSet* set, size_t bytes) : set_(set) {
    set_->bytes_.reserve(bytes);  // so that slices into it stay where they point
  }

  // The ranges that are open from `key` on have changed to `open`.
  void Boundary(Slice key, const std::multiset<Sequence, std::greater<Sequence>>& open) {
    const Slice kept = Keep(key);
    if (open_) set_->fragments_.back().end = kept;
    open_ = !open.empty();
    if (!open_) return;
    seqs_.assign(open.begin(), open.end());
    seqs_.erase(std::unique(seqs_.begin(), seqs_.end()), seqs_.end());
    if (!set_->fragments_.empty()) {
      Fragment& last = set_->fragments_.back();
      const Sequence* const before = set_->seqs(last);
      if (last.end == kept &&
          std::equal(seqs_.begin(), seqs_.end(), before, before + last.seq_count)) {
        last.end = Slice();
        return;
      }
    }
    const auto first = static_cast<uint32_t>(set_->seqs_.size());
    set_->fragments_.push_back({kept, Slice(), first, static_cast<uint32_t>(seqs_.size())});
    set_->seqs_.insert(set_->seqs_.end(), seqs_.begin(), seqs_.end());
  }

 private:
  Slice Keep(Slice key) {
    const size_t at = set_->bytes_.size();
    set_->bytes_.append(key.data(), key.size());
    return Slice(set_->bytes_.data() + at, key.size());
  }

  RangeTombstoneSet* const set_;
  std::vector<Sequence> seqs_;
  bool open_ = false;  // the last fragment has no end yet
};

std::shared_ptr<const RangeTombstoneSet> RangeTombstoneSet::Build(
    const std::vector<RangeTombstone>& tombstones) {
  std::vector<Boundary> boundaries;
  boundaries.reserve(2 * tombstones.size());
  size_t bytes = 0;
  for (const RangeTombstone& t : tombstones) {
    if (!t.end.empty() && t.begin >= t.end) continue;  // deletes nothing
    boundaries.push_back({t.begin, true, t.seq});
    if (!t.end.empty()) boundaries.push_back({t.end, false, t.seq});
    bytes += t.begin.size() + t.end.size();
  }
  std::sort(boundaries.begin(), boundaries.end(),
            [](const Boundary& a, const Boundary& b) { return a.key < b.key; });

  auto set = std::make_shared<RangeTombstoneSet>();
  Builder builder(set.get(), bytes);
  std::multiset<Sequence, std::greater<Sequence>> open;
  for (size_t i = 0; i < boundaries.size();) {
    const Slice key = boundaries[i].key;
    for (; i < boundaries.size() && boundaries[i].key == key; ++i) {
      if (boundaries[i].opens) {
        open.insert(boundaries[i].seq);
      } else {
        open.erase(open.find(boundaries[i].seq));  // was opened at a smaller key
      }
    }
    builder.Boundary(key, open);
  }
  return set;
}

const RangeTombstoneSet::Fragment* RangeTombstoneSet::Find(Slice key, Sequence seq,
                                                           Sequence* covering) const {
  *covering = 0;
  const auto after = std::upper_bound(fragments_.begin(), fragments_.end(), key,
                                      [](Slice k, const Fragment& f) { return k < f.begin; });
  if (after == fragments_.begin()) return nullptr;
  const Fragment& f = *(after - 1);
  if (!f.end.empty() && key >= f.end) return nullptr;
  const Sequence* const first = seqs(f);
  const Sequence* const last = first + f.seq_count;
  const Sequence* const newest = std::lower_bound(first, last, seq, std::greater<Sequence>());
  if (newest == last) return nullptr;
  *covering = *newest;
  return &f;
}

Sequence RangeTombstoneSet::MaxCovering(Slice key, Sequence seq) const {
  Sequence covering;
  Find(key, seq, &covering);
  return covering;
}

size_t RangeTombstoneSet::memory_bytes() const {
  return sizeof *this + fragments_.capacity() * sizeof(Fragment) +
         seqs_.capacity() * sizeof(Sequence) + bytes_.capacity();
}

}  // namespace kist
