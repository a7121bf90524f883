// Tree: the entries of one keyspace of a memtable, a B+-tree whose leaves hold words (eight bytes
// of the key behind what the keys of a leaf share) and pointers to entries. Chosen against a skip
// list by tests/bench/decisions/memtable_bench.cc.
// The writer inserts into a leaf by one publication (node.h). A full node is replaced: two new
// nodes are built, then one publication of the parent puts both in the place of the old one, then
// the old one is retired. Nothing is ever removed, so nodes never merge, and there are no links
// between leaves: whoever passes the end of a leaf descends again to its high fence.
// Threads: one writer; readers beside it, who never wait.
#pragma once

#include <atomic>

#include "memtable/entry.h"
#include "memtable/node.h"
#include "memtable/node_pool.h"

namespace kist {

// Invariants:
//  1. A reader that has loaded a child's version checks its parent's afterwards: a child that its
//     parent still names was not retired when its version was loaded.
//  2. A leaf other than the first holds the entry of its low fence (or what replaced it), so it is
//     never empty, and what precedes a place is in the leaf that a descent by kBefore ends in.
//  3. Where the tree tracks, a node's `newest` is at least the sequence of every entry below it
//  that
//     was added since, before readers see that entry.
//  4. A split leaves at most one part nearly full, and that part's next split is even (NodePool
//     relies on it).
class Tree {
 public:
  explicit Tree(NodePool* pool) noexcept;
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  // The way from the root to a leaf, for one insert.
  struct Path {
    struct Step {
      Node* node;
      int pos;  // of the child taken
    };
    Step steps[NodePool::kLevelsMax];
    int levels;  // steps above the leaf; steps[levels] is the leaf. Negative: behind the tail's
                 // last entry
  };
  // Writer only. Find begins to fetch the leaf, so that the caller does something useful in
  // between; Insert returns false where the entry took the place of one of equal key and sequence.
  void Find(const Place& place, Path* path) const noexcept;
  bool Insert(const Path& path, const Place& place, EntryPtr entry) noexcept;

  // The first entry that is not before the place, if it is of the place's key; else nullptr.
  EntryPtr FindKey(const Place& place) const noexcept;
  // The same for several keys of one age: they descend in step, so that each one's nodes arrive
  // while the others are looked at.
  static constexpr int kTogether = 16;
  void FindKeys(const Slice* keys, uint64_t age, int count, EntryPtr* found) const noexcept;

  // How a descent picks a child: the one that holds the place, the one that holds what precedes it,
  // the last.
  enum class Way { kTo, kBefore, kLast };
  // A leaf as of one publication that was current when it was reached.
  NodeView Descend(const Place& place, Way way) const noexcept;

  // From now on the tree tracks where entries are added, so that a reader leaps over what is older.
  // Writer only. All entries so far are at most as new as what readers will ask for.
  void TrackNewest() noexcept { tracks_ = true; }
  // The leaf at the place, or in the way from it, that may hold an entry as new as `seq`; *place
  // moves to where the search came to. false: there is none before `end` upwards (null: no end), or
  // down to `begin`.
  bool FindNewerUp(Place* place, const Slice* end, Sequence seq, NodeView* leaf) const noexcept;
  bool FindNewerDown(Place* place, Slice begin, Sequence seq, NodeView* leaf) const noexcept;

  // About which part of the entries comes before the place, 0 to 1.
  double PartBefore(const Place& place) const noexcept;
  // About the bytes of the entries in [begin, end); an empty end: to the last key.
  uint64_t ApproximateBytes(Slice begin, Slice end) const noexcept;

  bool empty() const { return !has_entries_.load(std::memory_order_acquire); }

 private:
  struct Child {
    EntryPtr sep;
    Node* node;
  };

  enum class Found { kLeaf, kNone, kAgain };
  Found TryNewerUp(Place* place, const Slice* end, Sequence seq, NodeView* leaf) const noexcept;
  Found TryNewerDown(Place* place, Slice begin, Sequence seq, NodeView* leaf) const noexcept;
  bool TryPartBefore(const Place& place, double* part) const noexcept;
  bool TryRoot(NodeView* view, uint32_t* level) const noexcept;
  void NoteNewest(const Path& path, Sequence seq) noexcept;
  bool TryDescend(const Place& place, Way way, NodeView* view) const noexcept;
  void SplitLeaf(const Path& path, int pos, EntryPtr entry) noexcept;
  Node* BuildLeaf(const Node* from, const EntryPtr* entries, const uint64_t* words, int count,
                  EntryPtr low, EntryPtr high) noexcept;
  Node* BuildInner(uint32_t level, const Child* children, int count, EntryPtr low,
                   EntryPtr high) noexcept;
  // Puts `left` (and `right` behind it, unless nullptr) in the place of the node at
  // path.steps[depth], and retires that.
  void Replace(const Path& path, int depth, Node* left, EntryPtr sep, Node* right) noexcept;
  void ReplaceRoot(Node* left, EntryPtr sep, Node* right) noexcept;
  void Rebuild(const Path& path, int depth, Node* left, EntryPtr sep, Node* right) noexcept;

  NodePool* const pool_;
  std::atomic<Node*> root_;
  std::atomic<bool> has_entries_{false};
  // Writer only: the last leaf and its last entry, while inserts go there.
  Node* tail_ = nullptr;
  EntryPtr tail_entry_ = nullptr;
  bool tracks_ = false;
};

}  // namespace kist
