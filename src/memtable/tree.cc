// Descents and inserts; see tree.h. What replaces full nodes stands in tree_split.cc. Leaves are
// seldom in the processor's caches: a descent begins to fetch all lines of one before it looks at
// the first.
// Threads: Find and Insert by the writer, the rest by any.
#include "memtable/tree.h"

namespace kist {
namespace {

// Fetches head, order and words of a node at once: a search would miss them one after the other.
inline void FetchNode(const Node* node) {
  const char* p = reinterpret_cast<const char*>(node);
  constexpr size_t kBytes = sizeof(Node) + kNodeSlots * sizeof(uint64_t) * 2;
  for (size_t i = 0; i < kBytes; i += 64) __builtin_prefetch(p + i);
}

// The position of the child to take in an inner node; kChanged as LowerBound.
inline int ChildPos(const NodeView& view, const Place& place, Tree::Way way) {
  if (way == Tree::Way::kLast) return view.count() - 1;
  const Place bound = {place.key, place.age + (way == Tree::Way::kTo ? 1 : 0)};
  const int pos = view.LowerBound(1, bound);
  return pos < 0 ? NodeView::kChanged : pos - 1;
}

}  // namespace

Tree::Tree(NodePool* pool) noexcept : pool_(pool) {
  root_.store(BuildLeaf(nullptr, nullptr, nullptr, 0, nullptr, nullptr), std::memory_order_release);
}

NodeView Tree::Descend(const Place& place, Way way) const noexcept {
  NodeView view;
  while (!TryDescend(place, way, &view)) {
  }
  return view;
}

bool Tree::TryRoot(NodeView* view, uint32_t* level) const noexcept {
  const Node* root = root_.load(std::memory_order_acquire);
  *view = NodeView(root);
  *level = root->level.load(std::memory_order_acquire);
  return root_.load(std::memory_order_acquire) == root && view->Current();
}

bool Tree::TryDescend(const Place& place, Way way, NodeView* out) const noexcept {
  NodeView view;
  uint32_t level = 0;
  if (!TryRoot(&view, &level)) return false;
  for (; level > 0; --level) {
    const int pos = ChildPos(view, place, way);
    if (pos < 0) return false;
    const Node* child = view.Child(pos);
    if (child == nullptr) return false;  // of a publication that was only being prepared
    FetchNode(child);
    const NodeView next(child);
    if (!view.Current()) return false;
    view = next;
  }
  *out = view;
  return true;
}

void Tree::FindKeys(const Slice* keys, uint64_t age, int count, EntryPtr* found) const noexcept {
  NodeView views[kTogether];
  const Node* next[kTogether] = {};  // nullptr: something changed, or an older version may follow
  uint32_t level = 0;
  const bool rooted = TryRoot(&views[0], &level);
  for (int i = 0; rooted && i < count; ++i) {
    views[i] = views[0];
    next[i] = views[0].node();
  }
  for (; rooted && level > 0; --level) {
    for (int i = 0; i < count; ++i) {
      if (next[i] == nullptr) continue;
      const int pos = ChildPos(views[i], {keys[i], age}, Way::kTo);
      next[i] = pos < 0 ? nullptr : views[i].Child(pos);
      if (next[i] != nullptr) FetchNode(next[i]);
    }
    for (int i = 0; i < count; ++i) {
      if (next[i] == nullptr) continue;
      const NodeView child(next[i]);
      if (!views[i].Current()) next[i] = nullptr;
      views[i] = child;
    }
  }
  for (int i = 0; i < count; ++i) {
    found[i] = nullptr;
    if (next[i] == nullptr) continue;
    const int pos = views[i].LowerBound(0, {keys[i], age});
    if (pos >= 0 && pos < views[i].count()) found[i] = views[i].Entry(pos);
    if (!views[i].Current()) found[i] = nullptr;
    if (found[i] != nullptr) __builtin_prefetch(found[i]);
  }
  for (int i = 0; i < count; ++i) {
    if (found[i] == nullptr) {
      found[i] = FindKey({keys[i], age});
    } else if (EntryKey(found[i]) != keys[i]) {
      found[i] = nullptr;
    }
  }
}

EntryPtr Tree::FindKey(const Place& place) const noexcept {
  for (;;) {
    NodeView leaf = Descend(place, Way::kTo);
    int pos = leaf.LowerBound(0, place);
    if (pos < 0) continue;
    if (pos == leaf.count()) {
      // An older version of the key may begin the next leaf.
      const EntryPtr high = leaf.node()->high.load(std::memory_order_acquire);
      if (!leaf.Current()) continue;
      if (high == nullptr || EntryKey(high) != place.key) return nullptr;
      leaf = Descend(PlaceOf(high), Way::kTo);
      pos = 0;
    }
    const EntryPtr e = leaf.Entry(pos);
    if (!leaf.Current()) continue;
    return EntryKey(e) == place.key ? e : nullptr;
  }
}

void Tree::Find(const Place& place, Path* path) const noexcept {
  if (tail_ != nullptr && NodeView(tail_).count() < tail_->slots &&
      EntryBefore(tail_entry_, place, 0)) {
    path->levels = -1;
    return;
  }
  Node* node = root_.load(std::memory_order_relaxed);
  path->levels = static_cast<int>(node->level.load(std::memory_order_relaxed));
  for (int i = 0; i < path->levels; ++i) {
    const NodeView view(node);
    const int pos = ChildPos(view, place, Way::kTo);
    path->steps[i] = {node, pos};
    node = view.Child(pos);
    FetchNode(node);
  }
  path->steps[path->levels] = {node, 0};
}

// Before the entry is published. The way to the tail is the last child's everywhere.
void Tree::NoteNewest(const Path& path, Sequence seq) noexcept {
  const auto note = [seq](Node* node) {
    if (node->newest.load(std::memory_order_relaxed) < seq)
      node->newest.store(seq, std::memory_order_release);
  };
  if (path.levels >= 0) {
    for (int i = 0; i <= path.levels; ++i) note(path.steps[i].node);
    return;
  }
  for (Node* node = root_.load(std::memory_order_relaxed);;) {
    note(node);
    if (node->level.load(std::memory_order_relaxed) == 0) return;
    const NodeView view(node);
    node = view.Child(view.count() - 1);
  }
}

bool Tree::Insert(const Path& path, const Place& place, EntryPtr entry) noexcept {
  if (tracks_) NoteNewest(path, kMaxSequence - place.age);
  const bool at_tail = path.levels < 0;
  Node* leaf = at_tail ? tail_ : path.steps[path.levels].node;
  const NodeView view(leaf);
  const int n = view.count();
  const int pos = at_tail ? n : view.LowerBound(0, place);
  const uint64_t word = WordAt(place.key, leaf->skip.load(std::memory_order_relaxed));
  if (pos < n && view.Word(pos) == word) {
    const EntryPtr old = view.Entry(pos);
    if (EntryAge(old) == place.age && EntryKey(old) == place.key) {
      leaf->entries()[view.Slot(pos)].store(entry, std::memory_order_release);
      return false;
    }
  }
  if (n == leaf->slots) {
    SplitLeaf(path, pos, entry);
    return true;
  }
  const int slot = leaf->FreeSlot(n);
  leaf->words()[slot].store(word, std::memory_order_release);
  leaf->entries()[slot].store(entry, std::memory_order_release);
  leaf->PublishInsert(pos, n);
  leaf->run = pos;
  tail_ = pos == n && leaf->high.load(std::memory_order_relaxed) == nullptr ? leaf : nullptr;
  tail_entry_ = entry;
  if (n == 0) has_entries_.store(true, std::memory_order_release);
  return true;
}

}  // namespace kist
