// TombstoneLog: the range tombstones of one keyspace of a memtable, in the order they came, with an
// index over time.
// The newest stand in a list. Sixteen of them become a group, whose skyline says for every key
// which of them that cover it is the newest. Four groups of a rank become one of the next rank, and
// stay below it. So n tombstones make O(log n) groups to look at, adding is O(log n) amortised, and
// nested ranges cost no more than others. A look at an old sequence descends into the one group per
// rank that is partly newer. Rejected: one set rebuilt on demand (quadratic where adds and looks
// alternate, and who would free the old one beside lock-free readers).
// Threads: Add by one writer; MaxCovering and the rest by any beside it. RangeSet, RangeSets take a
// mutex.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "iter/range_tombstones.h"
#include "key/internal_key.h"
#include "util/mutex.h"

namespace kist {

// Invariants:
//  1. Sequences never fall, so of two groups one is wholly older, and the first cover found from
//     new to old is the answer.
//  2. A tombstone and a group never change once published and live until the log dies.
//  3. Adding cannot fail: where a group finds no memory, the list grows on, and is searched, and a
//     later add tries again.
class TombstoneLog {
 public:
  TombstoneLog() = default;
  ~TombstoneLog();
  TombstoneLog(const TombstoneLog&) = delete;
  TombstoneLog& operator=(const TombstoneLog&) = delete;

  // Memory that Add wants, at least 8-byte aligned; it belongs to the caller and outlives the log.
  static size_t BytesFor(Slice begin, Slice end) {
    return (sizeof(Item) + begin.size() + end.size() + 7) & ~size_t{7};
  }
  void Add(char* memory, Slice begin, Slice end, Sequence seq) noexcept;

  // The highest sequence <= seq of one that covers the key; 0: none.
  Sequence MaxCovering(Slice key, Sequence seq) const noexcept;
  // Whether one newer than `since` overlaps [begin, end) (an empty end: no end). Looks at those.
  bool Overlaps(Slice begin, Slice end, Sequence since) const noexcept;
  // All of this moment, as sets that together hold each of them once: O(log n) sets, of which a
  // call after additions builds only what is new and what is no larger, so that calls between
  // additions cost O(log n) a tombstone.
  std::vector<std::shared_ptr<const RangeTombstoneSet>> RangeSets() const;
  // The same as one set; a call after an addition builds it anew.
  std::shared_ptr<const RangeTombstoneSet> RangeSet() const;

  size_t index_bytes() const { return index_bytes_.load(std::memory_order_relaxed); }
  size_t set_bytes() const { return set_bytes_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint32_t kListMax = 16;
  static constexpr int kFan = 4;

  struct Group;
  struct Item {
    const Item* older;
    const Group* groups;  // over all older ones but the `listed` last
    Sequence seq;
    uint32_t listed;  // items of the list before this one, that no group of `groups` holds
    uint32_t begin_len;
    uint32_t end_len;
    uint32_t number;  // from 1
    Slice begin() const { return Slice(reinterpret_cast<const char*>(this + 1), begin_len); }
    Slice end() const { return Slice(begin().data() + begin_len, end_len); }
    bool Covers(Slice key) const { return RangeTombstone{begin(), end(), seq}.Covers(key); }
  };

  // `count` tombstones in a row, as a set.
  struct Part {
    std::shared_ptr<const RangeTombstoneSet> set;
    uint32_t count;
  };

  void BuildParts(const Item* newest, bool one) const KIST_REQUIRES(sets_mutex_);
  Group* NewGroup(size_t edges) noexcept;
  const Group* GroupOfList(const Item* newest, uint32_t count) noexcept;
  const Group* Merge(const Group* newest) noexcept;
  static Sequence Query(const Group* group, Slice key, Sequence seq) noexcept;

  std::atomic<const Item*> newest_{nullptr};
  std::atomic<size_t> index_bytes_{0};
  mutable std::atomic<size_t> set_bytes_{0};
  Group* allocated_ = nullptr;  // the writer's list of all groups, to free them
  mutable Mutex sets_mutex_;
  mutable std::vector<Part> parts_ KIST_GUARDED_BY(sets_mutex_);  // oldest first
};

}  // namespace kist
