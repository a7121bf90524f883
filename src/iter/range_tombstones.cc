// Building the skylines of range tombstones and looking at them. See range_tombstones.h.
//
// Keys are numbered first, so that all the rest compares numbers. A leaf's skyline is found by
// asking each of its tombstones, a higher one by merging its children's.
#include "iter/range_tombstones.h"

#include <algorithm>

#include "util/planted.h"

namespace kist {
namespace {

constexpr uint32_t kLeafMax = 8;
constexpr uint32_t kFan = 8;

}  // namespace

std::shared_ptr<const RangeTombstoneSet> RangeTombstoneSet::Build(
    std::vector<RangeTombstone> tombstones) {
  auto set = std::make_shared<RangeTombstoneSet>();
  size_t bytes = 0;
  size_t kept = 0;
  for (const RangeTombstone& t : tombstones) {
    if (!t.end.empty() && t.begin >= t.end) continue;  // deletes nothing
    bytes += t.begin.size() + t.end.size();
    tombstones[kept++] = t;
  }
  tombstones.resize(kept);
  std::stable_sort(tombstones.begin(), tombstones.end(),
                   [](const auto& a, const auto& b) { return a.seq < b.seq; });
  set->bytes_.reserve(bytes);  // so that slices into it stay where they point
  const auto keep = [&](Slice key) {
    const size_t at = set->bytes_.size();
    set->bytes_.append(key.data(), key.size());
    return Slice(set->bytes_.data() + at, key.size());
  };
  for (RangeTombstone& t : tombstones) {
    t.begin = keep(t.begin);
    if (!t.end.empty()) t.end = keep(t.end);
  }
  set->tombstones_ = std::move(tombstones);
  set->Index();
  return set;
}

void RangeTombstoneSet::Index() {
  keys_.reserve(2 * tombstones_.size() + 1);
  keys_.emplace_back();
  for (const RangeTombstone& t : tombstones_) {
    keys_.push_back(t.begin);
    if (!t.end.empty()) keys_.push_back(t.end);
  }
  std::sort(keys_.begin(), keys_.end());
  keys_.erase(std::unique(keys_.begin(), keys_.end()), keys_.end());
  const Rank extra = Planted(Bug::kRangeEndIncluded) ? 1 : 0;
  spans_.reserve(tombstones_.size());
  for (const RangeTombstone& t : tombstones_) {
    spans_.push_back(
        {RankOf(t.begin), t.end.empty() ? static_cast<Rank>(keys_.size()) : RankOf(t.end) + extra});
  }
  const auto n = static_cast<uint32_t>(tombstones_.size());
  if (n == 0) return;
  levels_.emplace_back();
  for (uint32_t i = 0; i < n; i += kLeafMax) AddLeaf(i, std::min(kLeafMax, n - i));
  while (levels_.back().size() > 1) {
    const size_t below = levels_.size() - 1;
    levels_.emplace_back();
    const auto nodes = static_cast<uint32_t>(levels_[below].size());
    for (uint32_t i = 0; i < nodes; i += kFan)
      AddInner(levels_[below].data() + i, std::min(kFan, nodes - i));
  }
}

// Of the node that is being built, levels_.back().back().
void RangeTombstoneSet::Append(Rank from, uint32_t newest) {
  Node& node = levels_.back().back();
  const uint32_t before = node.edges == 0 ? 0 : edges_.back().newest;
  const auto seq = [&](uint32_t i) { return i == 0 ? 0 : tombstones_[i - 1].seq; };
  if (seq(newest) == seq(before)) return;
  edges_.push_back({from, newest});
  ++node.edges;
}

void RangeTombstoneSet::AddLeaf(uint32_t first, uint32_t count) {
  levels_.back().push_back({static_cast<uint32_t>(edges_.size()), 0, first, count});
  Rank ranks[2 * kLeafMax];
  Rank* end = ranks;
  for (uint32_t i = first; i < first + count; ++i) {
    *end++ = spans_[i].begin;
    if (spans_[i].end < keys_.size()) *end++ = spans_[i].end;
  }
  std::sort(ranks, end);
  end = std::unique(ranks, end);
  for (const Rank* rank = ranks; rank != end; ++rank) {
    uint32_t newest = first + count;
    while (newest > first &&
           (*rank < spans_[newest - 1].begin || *rank >= spans_[newest - 1].end)) {
      --newest;
    }
    Append(*rank, newest == first ? 0 : newest);
  }
}

void RangeTombstoneSet::AddInner(const Node* children, uint32_t count) {
  const Node& last = children[count - 1];
  levels_.back().push_back({static_cast<uint32_t>(edges_.size()), 0, children[0].first,
                            last.first + last.count - children[0].first});
  uint32_t next[kFan] = {};
  uint32_t newest[kFan] = {};
  for (;;) {
    Rank rank = UINT32_MAX;
    for (uint32_t i = 0; i < count; ++i) {
      if (next[i] < children[i].edges)
        rank = std::min(rank, edges_[children[i].first_edge + next[i]].from);
    }
    if (rank == UINT32_MAX) break;
    uint32_t top = 0;
    for (uint32_t i = 0; i < count; ++i) {
      if (next[i] < children[i].edges) {
        const Edge& e = edges_[children[i].first_edge + next[i]];
        if (e.from == rank) {
          newest[i] = e.newest;
          ++next[i];
        }
      }
      top = std::max(top, newest[i]);
    }
    Append(rank, top);
  }
}

RangeTombstoneSet::Rank RangeTombstoneSet::RankOf(Slice key) const {
  return static_cast<Rank>(std::lower_bound(keys_.begin(), keys_.end(), key) - keys_.begin());
}

uint32_t RangeTombstoneSet::QueryLeaf(const Node& leaf, Rank rank, Sequence seq, Span* span) const {
  for (uint32_t i = leaf.first + leaf.count; i-- > leaf.first;) {
    if (tombstones_[i].seq > seq) continue;
    const Span& s = spans_[i];
    if (rank < s.begin) {
      span->end = std::min(span->end, s.begin);
    } else if (rank >= s.end) {
      span->begin = std::max(span->begin, s.end);
    } else {
      *span = {std::max(span->begin, s.begin), std::min(span->end, s.end)};
      return i + 1;
    }
  }
  return 0;
}

// 1 + the newest tombstone of the node that is not newer than seq and covers the rank. Narrows the
// span to where that holds.
uint32_t RangeTombstoneSet::Query(size_t level, uint32_t node, Rank rank, Sequence seq,
                                  Span* span) const {
  const Node& n = levels_[level][node];
  if (tombstones_[n.first].seq > seq) return 0;
  if (tombstones_[n.first + n.count - 1].seq <= seq) {
    const Edge* const first = edges_.data() + n.first_edge;
    const Edge* const end = first + n.edges;
    const Edge* const behind =
        std::upper_bound(first, end, rank, [](Rank r, const Edge& e) { return r < e.from; });
    if (behind != end) span->end = std::min(span->end, behind->from);
    if (behind == first) return 0;
    span->begin = std::max(span->begin, behind[-1].from);
    return behind[-1].newest;
  }
  if (level == 0) return QueryLeaf(n, rank, seq, span);
  const auto below = static_cast<uint32_t>(levels_[level - 1].size());
  for (uint32_t i = std::min(below, (node + 1) * kFan); i-- > node * kFan;) {
    const uint32_t found = Query(level - 1, i, rank, seq, span);
    if (found != 0) return found;
  }
  return 0;
}

// behind: how many of keys_ are not after the place asked for; at least 1.
RangeCover RangeTombstoneSet::At(size_t behind, Sequence seq) const {
  Span span = {0, static_cast<Rank>(keys_.size())};
  RangeCover cover;
  if (levels_.empty()) return cover;
  const uint32_t found = Query(levels_.size() - 1, 0, static_cast<Rank>(behind - 1), seq, &span);
  cover.seq = found == 0 ? 0 : tombstones_[found - 1].seq;
  cover.begin = keys_[span.begin];
  if (span.end < keys_.size() && !Planted(Bug::kCoverTooLong)) cover.end = keys_[span.end];
  return cover;
}

RangeCover RangeTombstoneSet::Find(Slice key, Sequence seq) const {
  return At(static_cast<size_t>(std::upper_bound(keys_.begin(), keys_.end(), key) - keys_.begin()),
            seq);
}

RangeCover RangeTombstoneSet::FindBefore(Slice key, Sequence seq) const {
  return At(std::max<size_t>(1, RankOf(key)), seq);
}

std::vector<RangeTombstone> RangeTombstoneSet::Newest() const {
  std::vector<RangeTombstone> out;
  if (levels_.empty()) return out;
  const Node& root = levels_.back()[0];
  for (uint32_t i = 0; i < root.edges; ++i) {
    const Edge& e = edges_[root.first_edge + i];
    if (e.newest == 0) continue;
    const bool last = i + 1 == root.edges;
    out.push_back({keys_[e.from], last ? Slice() : keys_[edges_[root.first_edge + i + 1].from],
                   tombstones_[e.newest - 1].seq});
  }
  return out;
}

size_t RangeTombstoneSet::memory_bytes() const {
  size_t bytes = sizeof *this + bytes_.capacity() +
                 tombstones_.capacity() * sizeof(RangeTombstone) +
                 spans_.capacity() * sizeof(Span) + keys_.capacity() * sizeof(Slice) +
                 edges_.capacity() * sizeof(Edge);
  for (const auto& level : levels_) bytes += level.capacity() * sizeof(Node);
  return bytes;
}

void RangeCoverCursor::Look(Slice key) {
  RangeCover cover;
  for (const Part& part : *parts_) {
    const RangeCover c = part.set->Find(key, part.seq);
    cover.seq = std::max(cover.seq, c.seq);
    cover.begin = std::max(cover.begin, c.begin);
    if (!c.end.empty() && (cover.end.empty() || c.end < cover.end)) cover.end = c.end;
  }
  cover_ = cover;
  known_ = true;
}

Slice RangeCoverCursor::CoveredUntil(Slice key, Sequence seq) {
  Slice end = At(key).end;
  while (!end.empty() && At(end).seq >= seq) end = cover_.end;
  return end;
}

Slice RangeCoverCursor::CoveredFrom(Slice key, Sequence seq) {
  Slice begin = At(key).begin;
  while (!begin.empty()) {
    Sequence newest = 0;
    Slice from;
    for (const Part& part : *parts_) {
      const RangeCover c = part.set->FindBefore(begin, part.seq);
      newest = std::max(newest, c.seq);
      from = std::max(from, c.begin);
    }
    if (newest < seq) break;
    begin = from;
  }
  return begin;
}

}  // namespace kist
