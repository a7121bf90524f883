// Version: the immutable set of live tables of all keyspaces. KeyspaceVersion: the levels of one
// keyspace.
//
// Invariants
//  1. Level 0: any overlap, newest first (the highest largest_seq first; flushes and compactions
//  keep sequence ranges of L0 files
//     of one keyspace disjoint). Levels 1 and up: disjoint in what they span, ascending.
//  2. For any key, every version in a lower-numbered level is newer than every version in a higher
//  one, and newer L0 files
//     hold newer versions than older ones. All versions of a key in levels >= 1 stand in one file
//     of the level.
//  3. Nothing but a count of seeks changes after construction; readers share versions by reference
//     through the View.
// Threads: any.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "iter/internal_iterator.h"
#include "util/coding.h"
#include "util/ref.h"
#include "version/edit.h"
#include "version/live_table.h"

namespace kist {

constexpr int kLevels = 7;

// The files of one level with what a lookup needs side by side: the ends of what each file spans,
// as numbers.
class Level {
 public:
  using Files = std::vector<RefPtr<LiveTable>>;
  Level() = default;
  Level(Files files, bool sorted);
  const Files& files() const { return files_; }
  bool empty() const { return files_.empty(); }
  size_t size() const { return files_.size(); }
  uint64_t bytes() const { return bytes_; }
  // Sorted levels: the index of the only file that may hold key, or size(). The first file whose
  // span ends at or after key.
  size_t FindFile(Slice key) const { return FindFile(key, Rank(key)); }
  // Sorted levels: the only file that spans key, or nullptr.
  LiveTable* Holder(Slice key) const {
    const uint64_t rank = Rank(key);
    const size_t i = FindFile(key, rank);
    return i != files_.size() && MayHold(i, key, rank) ? files_[i].get() : nullptr;
  }
  // Where key stands among the ends: the eight bytes behind what all of them share. Equal numbers
  // decide nothing.
  uint64_t Rank(Slice key) const {
    if (BeginsWith(key, shared_)) return Prefix64(key.substr(shared_.size()));
    return key < Slice(shared_) ? 0 : ~uint64_t{0};
  }
  // Whether key, whose Rank is given, lies within what files()[i] spans.
  bool MayHold(size_t i, Slice key, uint64_t rank) const {
    if (rank > first_[i] && rank < last_[i]) return true;
    if (rank < first_[i] || rank > last_[i]) return false;
    return files_[i]->MayHold(key);
  }

 private:
  size_t FindFile(Slice key, uint64_t rank) const;

  Files files_;
  std::string shared_;           // what all bounded ends begin with
  std::vector<uint64_t> first_;  // the Rank of each file's first key
  std::vector<uint64_t> last_;   // of its last key or tombstone end; all ones where unbounded
  uint64_t bytes_ = 0;
};

class KeyspaceVersion {
 public:
  explicit KeyspaceVersion(uint32_t id) : id(id) {}
  void Ref() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  uint64_t bytes() const;
  size_t files() const;
  int last_level() const;  // the deepest that has files; 0 where none
  // Whether any file of a level deeper than `level` spans anything of the key. `cursor` (kLevels
  // positions, zeroed at first) makes ascending calls cheap.
  bool MayExistBelow(int level, Slice key, size_t* cursor) const;

  const uint32_t id;
  Level levels[kLevels];
  uint32_t sorted_levels = 0;  // bit l: level l > 0 has files
  bool has_range_tombstones = false;
  // Seeks that went through more than one file of level 0, each as often as there were more.
  mutable std::atomic<uint64_t> level0_seeks{0};

 private:
  std::atomic<uint32_t> refs_{1};
};

class Version {
 public:
  void Ref() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  // Of a keyspace; nullptr where the version does not know it (it has no tables yet, or was
  // dropped).
  const KeyspaceVersion* Find(uint32_t slot, uint32_t id) const {
    if (slot >= keyspaces.size()) return nullptr;
    const KeyspaceVersion* kv = keyspaces[slot].get();
    return kv != nullptr && kv->id == id ? kv : nullptr;
  }

  std::vector<RefPtr<KeyspaceVersion>> keyspaces;  // by slot

 private:
  std::atomic<uint32_t> refs_{1};
};

// What an edit does to one keyspace's levels: a new KeyspaceVersion. Files in `removed` must be
// there.
Result<RefPtr<KeyspaceVersion>> ApplyToKeyspace(
    const KeyspaceVersion* base, uint32_t id,
    const std::vector<std::pair<int, RefPtr<LiveTable>>>& added,
    const std::vector<std::pair<int, uint64_t>>& removed);

// Over the files of one sorted level, opened one by one as the iterator reaches them. Holds
// references.
std::unique_ptr<InternalIterator> NewLevelIterator(std::vector<RefPtr<LiveTable>> files,
                                                   const ReadContext& context);

}  // namespace kist
