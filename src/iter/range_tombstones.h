// RangeTombstoneSet: the range tombstones of one memtable or table of one keyspace, with an index
// over time: in the order of their sequences, eight of them make a node, eight nodes one of the
// next rank, and each node has a skyline, which says for every stretch of keys which of its
// tombstones is the newest there. So nested ranges cost no more than others: n tombstones take O(n
// log n) bytes and a lookup a search per rank at most, for the newest sequence one search.
// Rejected: fragments that list all sequences over them (quadratic for nested ranges with differing
// ends). Immutable once built; owns its bytes. Threads: any, concurrently.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "key/internal_key.h"

namespace kist {

// How the keys of [begin, end) are covered: by `seq` newest, 0: not at all. An empty end reaches
// past the last key.
struct RangeCover {
  Slice begin;
  Slice end;
  Sequence seq = 0;
  bool Holds(Slice key) const { return begin <= key && (end.empty() || key < end); }
};

class RangeTombstoneSet {
 public:
  // Copies the bytes. Those that delete nothing are left out.
  static std::shared_ptr<const RangeTombstoneSet> Build(std::vector<RangeTombstone> tombstones);
  // The highest sequence <= seq that covers key; 0: none.
  Sequence MaxCovering(Slice key, Sequence seq) const { return Find(key, seq).seq; }
  // The same, with a stretch around key in which it holds.
  RangeCover Find(Slice key, Sequence seq) const;
  // The stretch that ends at `key`, or reaches over it: of the keys right before it. key: not
  // empty.
  RangeCover FindBefore(Slice key, Sequence seq) const;
  // Oldest first.
  const std::vector<RangeTombstone>& tombstones() const { return tombstones_; }
  // The newest alone at every key: disjoint, ascending. The slices are this set's.
  std::vector<RangeTombstone> Newest() const;
  size_t memory_bytes() const;

 private:
  using Rank = uint32_t;  // of a key among keys_; keys_.size(): past the last key
  struct Edge {           // from `from` up to the next edge `newest` - 1 is on top; 0: none
    Rank from;
    uint32_t newest;
  };
  struct Node {
    uint32_t first_edge, edges;
    uint32_t first, count;  // tombstones
  };
  struct Span {
    Rank begin, end;
  };
  void Index();
  void AddLeaf(uint32_t first, uint32_t count);
  void AddInner(const Node* children, uint32_t count);
  void Append(Rank from, uint32_t newest);
  RangeCover At(size_t behind, Sequence seq) const;
  uint32_t Query(size_t level, uint32_t node, Rank rank, Sequence seq, Span* span) const;
  uint32_t QueryLeaf(const Node& leaf, Rank rank, Sequence seq, Span* span) const;
  Rank RankOf(Slice key) const;

  std::string bytes_;
  std::vector<RangeTombstone> tombstones_;  // ascending sequences
  std::vector<Span> spans_;                 // by position of tombstones_
  std::vector<Slice> keys_;                 // all ends, ascending; the first is the empty key
  std::vector<Edge> edges_;
  std::vector<std::vector<Node>> levels_;  // leaves first; the last is the root alone
};

// Several sets as one, each up to a sequence of its own, remembering the last answer: a scan's keys
// mostly share it. Threads: one.
class RangeCoverCursor {
 public:
  struct Part {
    const RangeTombstoneSet* set;
    Sequence seq;  // newer ones do not count
  };
  explicit RangeCoverCursor(const std::vector<Part>* parts) : parts_(parts) {}
  const RangeCover& At(Slice key) {
    if (!known_ || !cover_.Holds(key)) Look(key);
    return cover_;
  }
  // From a key that `seq` or newer covers: where, upwards, that ends; empty: nowhere.
  Slice CoveredUntil(Slice key, Sequence seq);
  // The same downwards: the first key covered; empty may be the first of all.
  Slice CoveredFrom(Slice key, Sequence seq);

 private:
  void Look(Slice key);

  const std::vector<Part>* parts_;
  RangeCover cover_;
  bool known_ = false;
};

}  // namespace kist
