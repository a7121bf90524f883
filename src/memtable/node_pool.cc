// Nodes made, retired and made again, and how many a number of inserts may need at worst. A free
// list per kind keeps the memory of a node with its kind. See node_pool.h.
// Threads: the writer.
#include "memtable/node_pool.h"

#include <algorithm>
#include <new>

namespace kist {

size_t NodePool::BytesFor(size_t inserts, size_t new_trees) const noexcept {
  const size_t leaves = in_use_[kSmallLeaf] + in_use_[kLeaf];
  const size_t levels = top_level_ + 2;
  // A split makes two nodes and gives one back afterwards: one more each, and two for the moment.
  const size_t splits = std::min(inserts, 2 * leaves + inserts / 12 + new_trees + 2);
  const size_t inner_splits =
      std::min(splits * levels, 2 * in_use_[kInner] + splits / 12 + levels + new_trees);
  return (splits + 2) * Node::Bytes(kNodeSlots, false) +
         (inner_splits + 2 * levels) * Node::Bytes(kNodeSlots, true) +
         new_trees * Node::Bytes(kSmallNodeSlots, false);
}

Node* NodePool::New(int slots, uint32_t level) noexcept {
  const Kind kind = KindOf(slots, level != 0);
  Node* node = free_[kind];
  if (node != nullptr) {
    free_[kind] = node->free_next;
  } else {
    node = new (arena_->AllocateReserved(Node::Bytes(slots, level != 0))) Node(slots, level != 0);
  }
  ++in_use_[kind];
  node->level.store(level, std::memory_order_release);
  top_level_ = std::max(top_level_, level);
  return node;
}

void NodePool::Retire(Node* node) noexcept {
  const Kind kind = KindOf(node->slots, node->level.load(std::memory_order_relaxed) != 0);
  const uint64_t version = node->version.load(std::memory_order_relaxed);
  node->version.store(((version >> 8) + 1) << 8, std::memory_order_release);
  node->free_next = free_[kind];
  free_[kind] = node;
  --in_use_[kind];
}

}  // namespace kist
