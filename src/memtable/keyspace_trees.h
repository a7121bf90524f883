// KeyspaceTrees: which tree of a memtable belongs to which keyspace. The default keyspace (id 0)
// has a place of its own; the others stand in an open hash table, which grows by a copy that is
// published whole.
// Invariants:
//  1. A slot goes from empty to a tree once. A table that was replaced lives on for readers that
//     look at it: it misses only trees that were made after they began.
//  2. After Reserve(n) returned true, n Inserts do not fail. At most half of a table is used, so a
//     search ends.
// Threads: one writer; Find and ForEach by any beside it.
#pragma once

#include <atomic>
#include <cstdint>

#include "memtable/tombstone_log.h"
#include "memtable/tree.h"

namespace kist {

struct KeyspaceTree {
  KeyspaceTree(uint32_t id, NodePool* pool) : keyspace(id), tree(pool) {}
  bool empty() const {
    return tree.empty() && tombstones.load(std::memory_order_acquire) == nullptr;
  }

  const uint32_t keyspace;
  Tree tree;
  std::atomic<TombstoneLog*> tombstones{nullptr};
};

class KeyspaceTrees {
 public:
  KeyspaceTrees() = default;
  ~KeyspaceTrees();
  KeyspaceTrees(const KeyspaceTrees&) = delete;
  KeyspaceTrees& operator=(const KeyspaceTrees&) = delete;

  // nullptr: none.
  KeyspaceTree* Find(uint32_t keyspace) const noexcept {
    if (keyspace == 0) return default_.load(std::memory_order_acquire);
    return FindInTable(keyspace);
  }
  bool Reserve(size_t more) noexcept { return 2 * (count_ + more) <= capacity_ || Grow(more); }
  void Insert(KeyspaceTree* tree) noexcept;

  template <typename F>
  void ForEach(F&& f) const {
    if (KeyspaceTree* tree = default_.load(std::memory_order_acquire)) f(tree);
    const Table* table = table_.load(std::memory_order_acquire);
    for (size_t i = 0; table != nullptr && i <= table->mask; ++i) {
      if (KeyspaceTree* tree = table->slots()[i].load(std::memory_order_acquire)) f(tree);
    }
  }
  size_t memory_bytes() const { return memory_bytes_.load(std::memory_order_relaxed); }

 private:
  struct Table {
    Table* before;
    size_t mask;
    std::atomic<KeyspaceTree*>* slots() {
      return reinterpret_cast<std::atomic<KeyspaceTree*>*>(this + 1);
    }
    const std::atomic<KeyspaceTree*>* slots() const {
      return reinterpret_cast<const std::atomic<KeyspaceTree*>*>(this + 1);
    }
    void Put(KeyspaceTree* tree);
  };

  static size_t HashOf(uint32_t id) { return (id * uint64_t{0x9e3779b97f4a7c15}) >> 32; }
  KeyspaceTree* FindInTable(uint32_t keyspace) const noexcept;
  bool Grow(size_t more) noexcept;

  std::atomic<KeyspaceTree*> default_{nullptr};
  std::atomic<Table*> table_{nullptr};
  std::atomic<size_t> memory_bytes_{0};
  size_t count_ = 0;     // in the table; writer only
  size_t capacity_ = 0;  // of the table; writer only
};

}  // namespace kist
