// Node: one node of a memtable's B+-tree, and the search in it.
// Slots are written anywhere; their order is a permutation of slot numbers, kept twice: publication
// number p uses copy p % 2, and its successor is prepared in the other one. So a reader never
// waits: what it reads is whole unless a newer publication has happened meanwhile, and then it
// tries again. Rejected: nodes sorted in place under a version that is odd while they change,
// because readers would wait for a writer that lost its core in the middle.
// Threads: one writer; readers beside it.
#pragma once

#include <atomic>
#include <cstdint>

#include "memtable/entry.h"

namespace kist {

constexpr int kNodeSlots = 64;
constexpr int kSmallNodeSlots = 8;

// Invariants:
//  1. The writer changes only what the current publication does not use: free slots, the other
//     order. The one exception is an entry replaced by one of equal place, which is right before
//     and after.
//  2. Every store of the writer behind a publication is a release, every load of a reader an
//     acquire. So whoever has seen a byte of publication p + 2 (which reuses the memory of p) sees
//     `version` past p when it checks, and throws its result away.
//  3. Keys routed to a node lie between its fences `low` and `high`, which never change while the
//     node is in use. Where both exist all these keys share `skip` bytes, and words hold the eight
//     bytes behind them. An inner node at the edge of the tree has a claim instead: its separators
//     share `skip` bytes with `claim`; other keys must be compared.
//  4. A node's memory is only ever used again for a node of its own kind and size, and its version
//     never goes back.
//  5. Slot 0 of an inner node's order has no separator (it stands for `low`).
//  6. A pointer to an entry is followed only after the version was checked behind its load.
struct alignas(64) Node {
  Node(int slot_count, bool inner);
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  static constexpr size_t Bytes(int slots, bool inner) {
    return (sizeof(Node) + static_cast<size_t>(slots) * (inner ? 24 : 16) + 63) & ~size_t{63};
  }

  std::atomic<uint64_t>* words() { return reinterpret_cast<std::atomic<uint64_t>*>(this + 1); }
  const std::atomic<uint64_t>* words() const {
    return reinterpret_cast<const std::atomic<uint64_t>*>(this + 1);
  }
  std::atomic<EntryPtr>* entries() {
    return reinterpret_cast<std::atomic<EntryPtr>*>(words() + slots);
  }
  const std::atomic<EntryPtr>* entries() const {
    return reinterpret_cast<const std::atomic<EntryPtr>*>(words() + slots);
  }
  std::atomic<Node*>* children() {
    return reinterpret_cast<std::atomic<Node*>*>(entries() + slots);
  }
  const std::atomic<Node*>* children() const {
    return reinterpret_cast<const std::atomic<Node*>*>(entries() + slots);
  }

  // Writer only: publishes the order (slot numbers, the first `count` of them in use).
  void Publish(const uint8_t* order, int count);
  // Writer only: the current order, all `slots` of it.
  void CopyOrder(uint8_t* order) const;
  // Writer only: the free slot that an insert into `count` used ones takes.
  int FreeSlot(int count) const {
    const auto& w = Order()[count >> 3];
    return static_cast<int>(w.load(std::memory_order_relaxed) >> ((count & 7) * 8) & 0xff);
  }
  // Writer only: publishes FreeSlot(count), already filled, at position `pos`.
  void PublishInsert(int pos, int count);

  const std::atomic<uint64_t>* Order() const {
    return order[(version.load(std::memory_order_relaxed) >> 8) & 1];
  }

  std::atomic<uint64_t> version{0};  // publications << 8 | slots in use
  std::atomic<uint32_t> skip{0};
  std::atomic<uint32_t> level{0};  // 0: leaf
  std::atomic<EntryPtr> claim{nullptr};
  std::atomic<EntryPtr> low{nullptr};   // nullptr: none
  std::atomic<EntryPtr> high{nullptr};  // nullptr: none
  const int slots;                      // for the life of the memory
  int run = -1;               // writer only: where the last insert went, if it may be a run
  Node* free_next = nullptr;  // writer only
  // Of what was added below it while its tree tracks that, the newest sequence or more; 0: nothing.
  std::atomic<uint64_t> newest{0};
  alignas(64) std::atomic<uint64_t> order[2][kNodeSlots / 8];
};
static_assert(sizeof(Node) == 64 + 128, "a line of head, two of order");

// A reader's (and the writer's) look at a node as of one publication.
class NodeView {
 public:
  static constexpr int kChanged = -1;

  NodeView() = default;
  explicit NodeView(const Node* node)
      : node_(node), version_(node->version.load(std::memory_order_acquire)) {}

  const Node* node() const { return node_; }
  int count() const { return static_cast<int>(version_ & 0xff); }
  // Whether everything loaded so far belongs to this publication. Pairs with the stores of Publish.
  bool Current() const { return node_->version.load(std::memory_order_acquire) == version_; }

  int Slot(int pos) const {
    const auto& w = node_->order[(version_ >> 8) & 1][pos >> 3];
    return static_cast<int>(w.load(std::memory_order_acquire) >> ((pos & 7) * 8) & 0xff);
  }
  uint64_t Word(int pos) const { return node_->words()[Slot(pos)].load(std::memory_order_acquire); }
  // What these two return belongs to this publication only where Current() says so afterwards.
  EntryPtr Entry(int pos) const {
    return node_->entries()[Slot(pos)].load(std::memory_order_acquire);
  }
  Node* Child(int pos) const {
    return node_->children()[Slot(pos)].load(std::memory_order_acquire);
  }
  // The order of the slots in use; whole only where Current() says so afterwards.
  void CopyOrder(uint8_t* order) const {
    for (int i = 0; i < (count() + 7) / 8; ++i) {
      const uint64_t w = node_->order[(version_ >> 8) & 1][i].load(std::memory_order_acquire);
      std::memcpy(order + i * 8, &w, 8);
    }
  }
  // The first position >= from whose entry is not before the place; kChanged where the node
  // changed.
  int LowerBound(int from, const Place& place) const;

 private:
  int LowerBoundEqual(int at, uint64_t word, const Place& place, size_t skip) const;

  const Node* node_ = nullptr;
  uint64_t version_ = 0;
};

inline int NodeView::LowerBound(int from, const Place& place) const {
  // Locals, because the compiler loads members again after each atomic load.
  const Node* const node = node_;
  const std::atomic<uint64_t>* const order = node->order[(version_ >> 8) & 1];
  const std::atomic<uint64_t>* const words = node->words();
  const size_t skip = node->skip.load(std::memory_order_acquire);
  const int n = count();
  if (const EntryPtr claim = node->claim.load(std::memory_order_acquire); claim != nullptr) {
    if (!Current()) return kChanged;
    const int c = place.key.substr(0, skip).compare(EntryKey(claim).substr(0, skip));
    if (c != 0) return c < 0 ? from : n;
  }
  const auto word_at = [order, words](int pos) {
    const uint64_t slots = order[pos >> 3].load(std::memory_order_acquire);
    return words[slots >> ((pos & 7) * 8) & 0xff].load(std::memory_order_acquire);
  };
  const uint64_t word = WordAt(place.key, skip);
  int at = from;
  for (int left = n - from; left > 0;) {
    const int half = (left + 1) / 2;
    at += word_at(at + half - 1) < word ? half : 0;
    left -= half;
  }
  if (at >= n || word_at(at) != word) return at;
  return LowerBoundEqual(at, word, place, skip);
}

}  // namespace kist
