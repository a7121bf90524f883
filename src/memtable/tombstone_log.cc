// Range tombstones of a memtable: the list, the groups over time and their skylines, and the sets
// that iterators and flushes take with them. See tombstone_log.h.
// Threads: Add by one writer, the rest by any.
#include "memtable/tombstone_log.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "util/alloc.h"
#include "util/check.h"

namespace kist {

namespace {

// From `key` up to the next edge the newest tombstone is of `seq`; 0: none covers.
struct Edge {
  Slice key;
  Sequence seq;
};

}  // namespace

struct TombstoneLog::Group {
  Group* allocated_before;
  const Group* older;  // the next group back in time
  const Group* parts;  // the newest of its kFan parts, linked by `older`; nullptr at rank 0
  const Item* items;   // rank 0: the newest of its items
  uint32_t item_count;
  uint32_t rank;
  Sequence seq_min;
  Sequence seq_max;
  size_t edge_count;
  Edge* edges() { return reinterpret_cast<Edge*>(this + 1); }
  const Edge* edges() const { return reinterpret_cast<const Edge*>(this + 1); }
  void Append(Slice key, Sequence seq) {
    if (seq != (edge_count == 0 ? 0 : edges()[edge_count - 1].seq))
      edges()[edge_count++] = {key, seq};
  }
};

TombstoneLog::~TombstoneLog() {
  while (allocated_ != nullptr) {
    Group* before = allocated_->allocated_before;
    Deallocate(allocated_);
    allocated_ = before;
  }
}

TombstoneLog::Group* TombstoneLog::NewGroup(size_t edges) noexcept {
  const size_t bytes = sizeof(Group) + edges * sizeof(Edge);
  void* memory = Allocate(bytes);
  if (memory == nullptr) return nullptr;
  Group* group = new (memory) Group();
  group->allocated_before = allocated_;
  allocated_ = group;
  index_bytes_.store(index_bytes_.load(std::memory_order_relaxed) + bytes,
                     std::memory_order_relaxed);
  return group;
}

void TombstoneLog::Add(char* memory, Slice begin, Slice end, Sequence seq) noexcept {
  const Item* last = newest_.load(std::memory_order_relaxed);
  KIST_DCHECK(last == nullptr || last->seq <= seq);
  Item* item = new (memory) Item();
  item->older = last;
  item->seq = seq;
  item->begin_len = static_cast<uint32_t>(begin.size());
  item->end_len = static_cast<uint32_t>(end.size());
  item->number = 1;
  char* bytes = reinterpret_cast<char*>(item + 1);
  std::memcpy(bytes, begin.data(), begin.size());
  std::memcpy(bytes + begin.size(), end.data(), end.size());
  if (last != nullptr) {
    item->number = last->number + 1;
    item->groups = last->groups;
    item->listed = last->listed + 1;
    if (item->listed % kListMax == 0) {
      if (const Group* group = GroupOfList(last, item->listed)) {
        item->groups = Merge(group);
        item->listed = 0;
      }
    }
  }
  newest_.store(item, std::memory_order_release);
}

const TombstoneLog::Group* TombstoneLog::GroupOfList(const Item* newest, uint32_t count) noexcept {
  Group* group = NewGroup(size_t{2} * count);
  if (group == nullptr) return nullptr;
  group->older = newest->groups;
  group->items = newest;
  group->item_count = count;
  group->seq_max = newest->seq;
  Edge* edges = group->edges();
  Edge* end = edges;
  const Item* item = newest;
  for (uint32_t i = 0; i < count; ++i, item = item->older) {
    group->seq_min = item->seq;
    new (end++) Edge{item->begin(), 0};
    if (item->end_len != 0) new (end++) Edge{item->end(), 0};
  }
  std::sort(edges, end, [](const Edge& a, const Edge& b) { return a.key < b.key; });
  for (Edge* e = edges; e != end; ++e) {
    Sequence seq = 0;
    item = newest;
    for (uint32_t i = 0; i < count && seq == 0; ++i, item = item->older) {
      if (item->Covers(e->key)) seq = item->seq;
    }
    group->Append(e->key, seq);  // never ahead of e
  }
  return group;
}

const TombstoneLog::Group* TombstoneLog::Merge(const Group* newest) noexcept {
  for (;;) {
    const Group* parts[kFan];
    size_t next[kFan] = {};
    Sequence covers[kFan] = {};
    size_t edges = 0;
    const Group* part = newest;
    for (int i = 0; i < kFan; ++i, part = part->older) {
      if (part == nullptr || part->rank != newest->rank) return newest;
      parts[i] = part;
      edges += part->edge_count;
    }
    Group* group = NewGroup(edges);
    if (group == nullptr) return newest;
    group->older = part;
    group->parts = newest;
    group->rank = newest->rank + 1;
    group->seq_max = newest->seq_max;
    group->seq_min = parts[kFan - 1]->seq_min;
    for (;;) {
      const Slice* key = nullptr;
      for (int i = 0; i < kFan; ++i) {
        if (next[i] == parts[i]->edge_count) continue;
        const Slice& mine = parts[i]->edges()[next[i]].key;
        if (key == nullptr || mine < *key) key = &mine;
      }
      if (key == nullptr) break;
      Sequence seq = 0;
      const Slice at = *key;
      for (int i = 0; i < kFan; ++i) {
        if (next[i] < parts[i]->edge_count && parts[i]->edges()[next[i]].key == at) {
          covers[i] = parts[i]->edges()[next[i]++].seq;
        }
        if (seq == 0) seq = covers[i];
      }
      group->Append(at, seq);
    }
    newest = group;
  }
}

Sequence TombstoneLog::Query(const Group* group, Slice key, Sequence seq) noexcept {
  if (group->seq_min > seq) return 0;
  if (group->seq_max <= seq) {
    const Edge* edges = group->edges();
    const Edge* behind = std::upper_bound(edges, edges + group->edge_count, key,
                                          [](Slice k, const Edge& e) { return k < e.key; });
    return behind == edges ? 0 : behind[-1].seq;
  }
  if (group->rank == 0) {
    const Item* item = group->items;
    for (uint32_t i = 0; i < group->item_count; ++i, item = item->older) {
      if (item->seq <= seq && item->Covers(key)) return item->seq;
    }
    return 0;
  }
  const Group* part = group->parts;
  for (int i = 0; i < kFan; ++i, part = part->older) {
    const Sequence found = Query(part, key, seq);
    if (found != 0) return found;
  }
  return 0;
}

Sequence TombstoneLog::MaxCovering(Slice key, Sequence seq) const noexcept {
  const Item* newest = newest_.load(std::memory_order_acquire);
  if (newest == nullptr) return 0;
  const Item* item = newest;
  for (uint32_t i = 0; i <= newest->listed; ++i, item = item->older) {
    if (item->seq <= seq && item->Covers(key)) return item->seq;
  }
  for (const Group* group = newest->groups; group != nullptr; group = group->older) {
    const Sequence found = Query(group, key, seq);
    if (found != 0) return found;
  }
  return 0;
}

bool TombstoneLog::Overlaps(Slice begin, Slice end, Sequence since) const noexcept {
  const Item* item = newest_.load(std::memory_order_acquire);
  for (; item != nullptr && item->seq > since; item = item->older) {
    if ((end.empty() || item->begin() < end) && (item->end_len == 0 || begin < item->end()))
      return true;
  }
  return false;
}

void TombstoneLog::BuildParts(const Item* newest, bool one) const {
  uint32_t held = 0;
  for (const Part& part : parts_) held += part.count;
  if (held >= newest->number && (!one || parts_.size() == 1)) return;
  size_t kept = parts_.size();
  uint32_t count = newest->number > held ? newest->number - held : 0;
  while (kept > 0 && (one || parts_[kept - 1].count <= 2 * count)) count += parts_[--kept].count;
  std::vector<RangeTombstone> tombstones;
  tombstones.reserve(count);
  for (const Item* item = newest; tombstones.size() < count; item = item->older) {
    tombstones.push_back({item->begin(), item->end(), item->seq});
  }
  Part part = {RangeTombstoneSet::Build(tombstones), count};
  parts_.reserve(kept + 1);  // nothing throws from here on
  parts_.resize(kept);
  parts_.push_back(std::move(part));
  size_t bytes = 0;
  for (const Part& p : parts_) bytes += p.set->memory_bytes();
  set_bytes_.store(bytes, std::memory_order_relaxed);
}

std::vector<std::shared_ptr<const RangeTombstoneSet>> TombstoneLog::RangeSets() const {
  std::vector<std::shared_ptr<const RangeTombstoneSet>> sets;
  MutexLock lock(&sets_mutex_);
  if (const Item* newest = newest_.load(std::memory_order_acquire)) BuildParts(newest, false);
  for (const Part& part : parts_) sets.push_back(part.set);
  return sets;
}

std::shared_ptr<const RangeTombstoneSet> TombstoneLog::RangeSet() const {
  MutexLock lock(&sets_mutex_);
  const Item* newest = newest_.load(std::memory_order_acquire);
  if (newest == nullptr) return nullptr;
  BuildParts(newest, true);
  return parts_[0].set;
}

}  // namespace kist
