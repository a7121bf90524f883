// The table of trees by keyspace; see keyspace_trees.h. Tables double and hold pointers only, so
// that all that were ever replaced take no more memory than the current one.
// Threads: one writer, readers beside it.
#include "memtable/keyspace_trees.h"

#include <new>

#include "util/alloc.h"

namespace kist {

KeyspaceTrees::~KeyspaceTrees() {
  for (Table* table = table_.load(std::memory_order_relaxed); table != nullptr;) {
    Table* before = table->before;
    Deallocate(table);
    table = before;
  }
}

KeyspaceTree* KeyspaceTrees::FindInTable(uint32_t keyspace) const noexcept {
  const Table* table = table_.load(std::memory_order_acquire);
  if (table == nullptr) return nullptr;
  for (size_t i = HashOf(keyspace);; ++i) {
    KeyspaceTree* tree = table->slots()[i & table->mask].load(std::memory_order_acquire);
    if (tree == nullptr || tree->keyspace == keyspace) return tree;
  }
}

void KeyspaceTrees::Table::Put(KeyspaceTree* tree) {
  size_t i = HashOf(tree->keyspace);
  while (slots()[i & mask].load(std::memory_order_relaxed) != nullptr) ++i;
  slots()[i & mask].store(tree, std::memory_order_release);
}

void KeyspaceTrees::Insert(KeyspaceTree* tree) noexcept {
  if (tree->keyspace == 0) {
    default_.store(tree, std::memory_order_release);
    return;
  }
  table_.load(std::memory_order_relaxed)->Put(tree);
  ++count_;
}

bool KeyspaceTrees::Grow(size_t more) noexcept {
  size_t capacity = capacity_ == 0 ? 8 : capacity_;
  while (capacity < 2 * (count_ + more)) capacity *= 2;
  const size_t bytes = sizeof(Table) + capacity * sizeof(std::atomic<KeyspaceTree*>);
  void* memory = Allocate(bytes);
  if (memory == nullptr) return false;
  Table* before = table_.load(std::memory_order_relaxed);
  Table* table = new (memory) Table{before, capacity - 1};
  for (size_t i = 0; i < capacity; ++i) {
    new (table->slots() + i) std::atomic<KeyspaceTree*>(nullptr);
  }
  for (size_t i = 0; before != nullptr && i <= before->mask; ++i) {
    KeyspaceTree* tree = before->slots()[i].load(std::memory_order_relaxed);
    if (tree != nullptr) table->Put(tree);
  }
  table_.store(table, std::memory_order_release);
  capacity_ = capacity;
  memory_bytes_.store(memory_bytes_.load(std::memory_order_relaxed) + bytes,
                      std::memory_order_relaxed);
  return true;
}

}  // namespace kist
