// How a tree replaces nodes that are full or whose claim a new separator breaks: new nodes are
// built aside, published by their parent (or as the root) at once, and the old node is retired
// last. See tree.h.
// Threads: the writer.
#include <algorithm>
#include <cstring>

#include "memtable/tree.h"
#include "util/check.h"

namespace kist {
namespace {

// An inner node is built with room for one replacement by two.
constexpr int kInnerBuildMax = kNodeSlots - 2;
// A run that ends in this part of a leaf takes the left half with it.
constexpr int kRunLeftMax = 40;

constexpr uint8_t kIdentity[kNodeSlots] = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
    22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
    44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};

// How many entries of a full leaf and a new one at `pos` stay on the left. Runs (each insert beside
// the one before) are split where they grow, so that what they leave behind is full.
int SplitPoint(int n, int pos, int run) {
  if (run >= 0 && pos == run + 1) {
    if (pos == n) return n;
    return pos < kRunLeftMax ? pos + 1 : pos;
  }
  if (run >= 0 && pos == run && pos < kRunLeftMax) return pos + 1;
  return (n + 1) / 2;
}

}  // namespace

Node* Tree::BuildLeaf(const Node* from, const EntryPtr* entries, const uint64_t* words, int count,
                      EntryPtr low, EntryPtr high) noexcept {
  size_t skip = from == nullptr ? 0 : from->skip.load(std::memory_order_relaxed);
  bool new_words = false;
  // Where half of the words' bits tell nothing any more, they are taken further to the right.
  if (low != nullptr && high != nullptr && (words[0] ^ words[count - 1]) >> 32 == 0) {
    const size_t best = CommonPrefixLength(EntryKey(low), EntryKey(high));
    new_words = best > skip;
    if (new_words) skip = best;
  }
  Node* node = pool_->New(from == nullptr ? kSmallNodeSlots : kNodeSlots, 0);
  node->skip.store(static_cast<uint32_t>(skip), std::memory_order_release);
  node->low.store(low, std::memory_order_release);
  node->high.store(high, std::memory_order_release);
  for (int i = 0; i < count; ++i) {
    const uint64_t word = new_words ? WordAt(EntryKey(entries[i]), skip) : words[i];
    node->words()[i].store(word, std::memory_order_release);
    node->entries()[i].store(entries[i], std::memory_order_release);
  }
  node->run = -1;
  node->newest.store(from == nullptr ? 0 : from->newest.load(std::memory_order_relaxed),
                     std::memory_order_release);
  node->Publish(kIdentity, count);
  return node;
}

void Tree::SplitLeaf(const Path& path, int pos, EntryPtr entry) noexcept {
  const Node* leaf = path.steps[path.levels].node;
  const NodeView view(leaf);
  const int n = view.count();
  KIST_DCHECK(n == leaf->slots && pos <= n);
  EntryPtr entries[kNodeSlots + 1];
  uint64_t words[kNodeSlots + 1];
  for (int i = 0; i < n; ++i) {
    const int at = i < pos ? i : i + 1;
    entries[at] = view.Entry(i);
    words[at] = view.Word(i);
  }
  entries[pos] = entry;
  words[pos] = WordAt(EntryKey(entry), leaf->skip.load(std::memory_order_relaxed));
  const EntryPtr low = leaf->low.load(std::memory_order_relaxed);
  const EntryPtr high = leaf->high.load(std::memory_order_relaxed);
  tail_ = nullptr;
  if (n < kNodeSlots) {
    Node* grown = BuildLeaf(leaf, entries, words, n + 1, low, high);
    grown->run = pos;
    Replace(path, path.levels, grown, nullptr, nullptr);
    return;
  }
  const int m = SplitPoint(n, pos, leaf->run);
  const EntryPtr sep = entries[m];
  Node* left = BuildLeaf(leaf, entries, words, m, low, sep);
  Node* right = BuildLeaf(leaf, entries + m, words + m, n + 1 - m, sep, high);
  (pos < m ? left : right)->run = pos < m ? pos : pos - m;
  if (m == n && high == nullptr) {
    tail_ = right;
    tail_entry_ = entry;
  }
  Replace(path, path.levels, left, sep, right);
}

Node* Tree::BuildInner(uint32_t level, const Child* children, int count, EntryPtr low,
                       EntryPtr high) noexcept {
  size_t skip = 0;
  EntryPtr claim = nullptr;
  if (low != nullptr && high != nullptr) {
    skip = CommonPrefixLength(EntryKey(low), EntryKey(high));
  } else if (count > 1) {
    skip = CommonPrefixLength(EntryKey(children[1].sep), EntryKey(children[count - 1].sep));
    if (skip > 0) claim = children[1].sep;
  }
  Node* node = pool_->New(kNodeSlots, level);
  node->skip.store(static_cast<uint32_t>(skip), std::memory_order_release);
  node->claim.store(claim, std::memory_order_release);
  node->low.store(low, std::memory_order_release);
  node->high.store(high, std::memory_order_release);
  uint64_t newest = 0;
  for (int i = 0; i < count; ++i) {
    newest = std::max(newest, children[i].node->newest.load(std::memory_order_relaxed));
    const uint64_t word = i == 0 ? 0 : WordAt(EntryKey(children[i].sep), skip);
    node->words()[i].store(word, std::memory_order_release);
    node->entries()[i].store(i == 0 ? nullptr : children[i].sep, std::memory_order_release);
    node->children()[i].store(children[i].node, std::memory_order_release);
  }
  node->newest.store(newest, std::memory_order_release);
  node->Publish(kIdentity, count);
  return node;
}

void Tree::Replace(const Path& path, int depth, Node* left, EntryPtr sep, Node* right) noexcept {
  Node* old = path.steps[depth].node;
  if (depth == 0) {
    ReplaceRoot(left, sep, right);
    pool_->Retire(old);
    return;
  }
  const auto [parent, pos] = path.steps[depth - 1];
  const int n = NodeView(parent).count();
  const size_t skip = parent->skip.load(std::memory_order_relaxed);
  const EntryPtr claim = parent->claim.load(std::memory_order_relaxed);
  const int more = right == nullptr ? 0 : 1;
  const bool fits = n + 1 + more <= kNodeSlots &&
                    (right == nullptr || claim == nullptr ||
                     EntryKey(claim).substr(0, skip) == EntryKey(sep).substr(0, skip));
  if (!fits) {
    Rebuild(path, depth - 1, left, sep, right);
    pool_->Retire(old);
    return;
  }
  uint8_t was[kNodeSlots];
  uint8_t order[kNodeSlots];
  parent->CopyOrder(was);
  const auto fill = [parent = parent](int slot, uint64_t word, EntryPtr entry, Node* child) {
    parent->words()[slot].store(word, std::memory_order_release);
    parent->entries()[slot].store(entry, std::memory_order_release);
    parent->children()[slot].store(child, std::memory_order_release);
  };
  const int old_slot = was[pos];
  fill(was[n], parent->words()[old_slot].load(std::memory_order_relaxed),
       parent->entries()[old_slot].load(std::memory_order_relaxed), left);
  if (right != nullptr) fill(was[n + 1], WordAt(EntryKey(sep), skip), sep, right);
  // [before pos] left right [behind pos] [free] old
  const size_t behind = static_cast<size_t>(n - pos - 1);
  const size_t rest = static_cast<size_t>(kNodeSlots - n - 1 - more);
  std::memcpy(order, was, static_cast<size_t>(pos));
  std::memcpy(order + pos, was + n, static_cast<size_t>(1 + more));
  std::memcpy(order + pos + 1 + more, was + pos + 1, behind);
  std::memcpy(order + n + more, was + n + 1 + more, rest);
  order[kNodeSlots - 1] = static_cast<uint8_t>(old_slot);
  parent->Publish(order, n + more);
  pool_->Retire(old);
}

void Tree::ReplaceRoot(Node* left, EntryPtr sep, Node* right) noexcept {
  Node* root = left;
  if (right != nullptr) {
    const Child children[2] = {{nullptr, left}, {sep, right}};
    root =
        BuildInner(left->level.load(std::memory_order_relaxed) + 1, children, 2, nullptr, nullptr);
  }
  root_.store(root, std::memory_order_release);
}

void Tree::Rebuild(const Path& path, int depth, Node* left, EntryPtr sep, Node* right) noexcept {
  const auto [node, pos] = path.steps[depth];
  const NodeView view(node);
  const int n = view.count();
  Child children[kNodeSlots + 1];
  int total = 0;
  for (int i = 0; i < n; ++i) {
    children[total++] = {view.Entry(i), i == pos ? left : view.Child(i)};
    if (i == pos && right != nullptr) children[total++] = {sep, right};
  }
  const uint32_t level = node->level.load(std::memory_order_relaxed);
  const EntryPtr low = node->low.load(std::memory_order_relaxed);
  const EntryPtr high = node->high.load(std::memory_order_relaxed);
  if (total <= kInnerBuildMax) {
    Replace(path, depth, BuildInner(level, children, total, low, high), nullptr, nullptr);
    return;
  }
  // Appending leaves full nodes behind.
  const int m = pos == n - 1 ? total - 2 : total / 2;
  const EntryPtr middle = children[m].sep;
  Node* first = BuildInner(level, children, m, low, middle);
  Node* second = BuildInner(level, children + m, total - m, middle, high);
  Replace(path, depth, first, middle, second);
}

}  // namespace kist
