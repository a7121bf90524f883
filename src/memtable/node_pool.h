// NodePool: the nodes of all trees of one memtable. Nodes that a split or a growth has replaced are
// used again for others of their kind, so that their memory is not lost; see invariant 4 of node.h
// for why readers may still be looking at them.
// Invariants:
//  1. Within an arena reservation of BytesFor(n, t), n inserts into any trees, t of them new, find
//     their nodes. The bound: a full leaf splits, one of its parts may be nearly full and split
//     again, and after that each split takes 24 inserts. So splits <= min(n, 2 * leaves + n / 12 +
//     new or growing trees + 2); inner nodes alike, one rank up.
// Threads: the writer.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memtable/node.h"
#include "memtable/twin_arena.h"

namespace kist {

class NodePool {
 public:
  static constexpr int kLevelsMax = 16;  // 30 ^ 15 entries

  explicit NodePool(TwinArena* arena) noexcept : arena_(arena) {}
  NodePool(const NodePool&) = delete;
  NodePool& operator=(const NodePool&) = delete;

  // The bytes that Reserve makes sure of.
  size_t BytesFor(size_t inserts, size_t new_trees) const noexcept;

  // Never nullptr within a reservation. `level` 0 is a leaf. The node is unpublished: no reader
  // reaches it.
  Node* New(int slots, uint32_t level) noexcept;
  // No reader reaches the node from now on; those who are in it see it change.
  void Retire(Node* node) noexcept;

 private:
  enum Kind { kSmallLeaf, kLeaf, kInner, kKinds };
  static Kind KindOf(int slots, bool inner) {
    return inner ? kInner : slots == kNodeSlots ? kLeaf : kSmallLeaf;
  }

  TwinArena* const arena_;
  Node* free_[kKinds] = {};
  size_t in_use_[kKinds] = {};
  uint32_t top_level_ = 0;
};

}  // namespace kist
