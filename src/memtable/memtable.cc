// Memtable: arenas, trees and tombstone logs put together, and what a reservation needs. See
// memtable.h.
//
// Entries and nodes have an arena each over one source of chunks: nodes, which every search
// touches, lie close together. Threads: as memtable.h says; counters are relaxed atomics that the
// writer alone stores.
#include "memtable/memtable.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "memtable/key_filter.h"
#include "memtable/keyspace_trees.h"
#include "memtable/tree_iterator.h"
#include "memtable/twin_arena.h"
#include "util/check.h"
#include "util/coding.h"
#include "vfs/huge_pages.h"

namespace kist {
namespace {

constexpr size_t kEntryChunkFirst = size_t{16} << 10;
constexpr size_t kNodeChunkFirst = size_t{8} << 10;
constexpr size_t kChunkMax = kHugePageBytes;
// What an entry takes beside its key and value: the larger of a version with an expiry, and a range
// tombstone.
constexpr size_t kEntryExtra = 64;
// The filter comes when entries take an eighth of its memory.
constexpr size_t kFilterEntryShare = 8;
constexpr size_t kTreeBytes = (sizeof(KeyspaceTree) + 63) & ~size_t{63};
constexpr size_t kTombstoneLogBytes = (sizeof(TombstoneLog) + 63) & ~size_t{63};
// The largest thing that the node arena hands out.
constexpr size_t kNodePieceMax = Node::Bytes(kNodeSlots, true);
static_assert(kTreeBytes <= kNodePieceMax && kTombstoneLogBytes <= kNodePieceMax);

// At most an eighth of what the memtable is meant to hold, as a power of two.
size_t MaxChunk(size_t arena_bytes) {
  size_t bytes = kChunkMax;
  while (bytes > kEntryChunkFirst && bytes > arena_bytes / 8) bytes /= 2;
  return bytes;
}

void Bump(std::atomic<uint64_t>* counter) {
  counter->store(counter->load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

}  // namespace

class Memtable::Impl {
 public:
  Impl(size_t arena_bytes, MemoryBudget* budget, ChunkReserve* reserve) noexcept
      : source_(budget, reserve),
        entry_arena_(&source_, kEntryChunkFirst, MaxChunk(arena_bytes)),
        node_arena_(&source_, kNodeChunkFirst, MaxChunk(arena_bytes)),
        pool_(&node_arena_),
        filter_bytes_(KeyFilter::BytesFor(arena_bytes)) {}
  ~Impl() {
    trees_.ForEach([](KeyspaceTree* tree) {
      if (TombstoneLog* log = tree->tombstones.load(std::memory_order_relaxed))
        log->~TombstoneLog();
    });
  }

  // Once there are some entries, but not so many that adding them all holds up a writer; where
  // there is no memory for it, it is tried again with the next.
  void MakeFilter() noexcept {
    char* memory = source_.Take((filter_bytes_ + 63) & ~size_t{63});
    if (memory == nullptr) return;
    std::memset(memory, 0, filter_bytes_);
    filter_ = KeyFilter(memory, filter_bytes_);
    trees_.ForEach([this](const KeyspaceTree* tree) {
      TreeIterator it(&tree->tree);
      for (it.SeekToFirst(); it.valid(); it.Next()) filter_.Add(it.key());
    });
    filtered_.store(true, std::memory_order_release);
  }
  bool MayContain(Slice key) const noexcept {
    return !filtered_.load(std::memory_order_acquire) || filter_.MayContain(key);
  }
  void AddToFilter(Slice key) noexcept {
    if (filtered_.load(std::memory_order_relaxed)) filter_.Add(key);
  }
  bool WantsFilter() const noexcept {
    return filter_bytes_ != 0 && !filtered_.load(std::memory_order_relaxed) &&
           entry_arena_.used_bytes() >= filter_bytes_ / kFilterEntryShare;
  }
  KeyspaceTree* GetOrMake(uint32_t keyspace) noexcept {
    KeyspaceTree* tree = trees_.Find(keyspace);
    return __builtin_expect(tree != nullptr, 1) ? tree : Make(keyspace);
  }
  // The way to the place, to path_.
  void Find(Tree* tree, const Place& place) noexcept {
    if (expected_ != tree) tree->Find(place, &path_);
    expected_ = nullptr;
  }
  char* NewEntry(size_t bytes) noexcept { return entry_arena_.AllocateReserved(bytes); }
  KeyspaceTree* Make(uint32_t keyspace) noexcept {
    if (!trees_.Reserve(1)) CheckFailed(__FILE__, __LINE__, "trees stay within their reservation");
    auto* tree = new (node_arena_.AllocateReserved(kTreeBytes)) KeyspaceTree(keyspace, &pool_);
    trees_.Insert(tree);
    return tree;
  }
  TombstoneLog* LogOf(KeyspaceTree* tree) noexcept {
    TombstoneLog* log = tree->tombstones.load(std::memory_order_relaxed);
    if (log == nullptr) {
      tree->tree.TrackNewest();
      log = new (node_arena_.AllocateReserved(kTombstoneLogBytes)) TombstoneLog();
      tree->tombstones.store(log, std::memory_order_release);
    }
    return log;
  }
  // nullptr: no range tombstones.
  const TombstoneLog* FindLog(uint32_t keyspace) const noexcept {
    const KeyspaceTree* tree = trees_.Find(keyspace);
    return tree == nullptr ? nullptr : tree->tombstones.load(std::memory_order_acquire);
  }
  // Of the sets that were built of tombstones.
  size_t SetBytes() const noexcept {
    size_t bytes = 0;
    if (tombstones_.load(std::memory_order_acquire) == 0) return 0;
    trees_.ForEach([&bytes](const KeyspaceTree* tree) {
      const TombstoneLog* log = tree->tombstones.load(std::memory_order_acquire);
      if (log != nullptr) bytes += log->set_bytes();
    });
    return bytes;
  }
  void CountEntry(bool added) {
    if (added) Bump(&entries_);
  }

  ChunkSource source_;
  TwinArena entry_arena_;
  TwinArena node_arena_;
  NodePool pool_;
  KeyspaceTrees trees_;
  const size_t filter_bytes_;  // 0: no filter
  KeyFilter filter_;           // of the keys of entries; constant once filtered_
  std::atomic<bool> filtered_{false};
  // Writer only: the way to the last Add's place, or to that of the expected one where there is.
  Tree::Path path_;
  Tree* expected_ = nullptr;
  std::atomic<uint64_t> entries_{0};
  std::atomic<uint64_t> tombstones_{0};
  std::atomic<size_t> index_bytes_{0};  // of the tombstone logs
};

Result<Memtable*> Memtable::New(size_t arena_bytes, bool preallocate, MemoryBudget* budget,
                                ChunkReserve* reserve) {
  Impl* impl = new (std::nothrow) Impl(arena_bytes, budget, reserve);
  if (impl == nullptr) return Status::Bare(Code::kNoMem);
  Memtable* memtable = nullptr;
  if (!preallocate || impl->source_.Preallocate(arena_bytes)) {
    memtable = new (std::nothrow) Memtable(impl);
  }
  if (memtable == nullptr) {
    delete impl;
    return Status::Bare(Code::kNoMem);
  }
  return memtable;
}

Memtable::~Memtable() { delete impl_; }

void Memtable::Unref() {
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

Status Memtable::Reserve(size_t entries, size_t bytes, size_t keyspaces) noexcept {
  const size_t trees = std::min(entries, keyspaces);
  const size_t entry_bytes = bytes + entries * kEntryExtra;
  const size_t node_bytes =
      impl_->pool_.BytesFor(entries, trees) + trees * (kTreeBytes + kTombstoneLogBytes);
  if (!impl_->entry_arena_.Reserve(entry_bytes) ||
      !impl_->node_arena_.ReservePieces(node_bytes, kNodePieceMax) ||
      !impl_->trees_.Reserve(trees)) {
    return Status::Bare(Code::kNoMem);
  }
  if (impl_->WantsFilter()) impl_->MakeFilter();
  return Status();
}

void Memtable::Expect(uint32_t keyspace, Slice key, Sequence seq) noexcept {
  KeyspaceTree* tree = impl_->trees_.Find(keyspace);
  impl_->expected_ = tree == nullptr ? nullptr : &tree->tree;
  if (tree != nullptr) tree->tree.Find({key, AgeOf(seq)}, &impl_->path_);
}

void Memtable::Forget() noexcept { impl_->expected_ = nullptr; }

void Memtable::Add(uint32_t keyspace, Slice key, uint64_t tag, Slice value) noexcept {
  Tree* tree = &impl_->GetOrMake(keyspace)->tree;
  const Place place = {key, AgeOf(TagSequence(tag))};
  impl_->Find(tree, place);
  char* entry = impl_->NewEntry(kEntryHead + key.size() + value.size());
  char* at = WriteEntryHead(entry, key, tag, static_cast<uint32_t>(value.size()));
  if (!value.empty()) std::memcpy(at, value.data(), value.size());
  impl_->AddToFilter(key);
  impl_->CountEntry(tree->Insert(impl_->path_, place, entry));
}

void Memtable::AddTtl(uint32_t keyspace, Slice key, Sequence seq, int64_t expires_ms,
                      Slice value) noexcept {
  Tree* tree = &impl_->GetOrMake(keyspace)->tree;
  const Place place = {key, AgeOf(seq)};
  impl_->Find(tree, place);
  const size_t value_len = sizeof expires_ms + value.size();
  char* entry = impl_->NewEntry(kEntryHead + key.size() + value_len);
  char* at = WriteEntryHead(entry, key, MakeTag(seq, EntryKind::kPutTtl),
                            static_cast<uint32_t>(value_len));
  StoreLe(at, expires_ms);
  if (!value.empty()) std::memcpy(at + sizeof expires_ms, value.data(), value.size());
  impl_->AddToFilter(key);
  impl_->CountEntry(tree->Insert(impl_->path_, place, entry));
}

void Memtable::AddRangeTombstone(uint32_t keyspace, Slice begin, Slice end, Sequence seq) noexcept {
  TombstoneLog* log = impl_->LogOf(impl_->GetOrMake(keyspace));
  const size_t before = log->index_bytes();
  // Entries are not aligned; an item is.
  char* p = impl_->NewEntry(TombstoneLog::BytesFor(begin, end) + 7);
  p += -reinterpret_cast<uintptr_t>(p) & 7;
  log->Add(p, begin, end, seq);
  impl_->index_bytes_.store(
      impl_->index_bytes_.load(std::memory_order_relaxed) + log->index_bytes() - before,
      std::memory_order_relaxed);
  Bump(&impl_->tombstones_);
}

bool Memtable::Get(uint32_t keyspace, Slice key, Sequence seq, Found* found) const noexcept {
  const KeyspaceTree* tree = impl_->trees_.Find(keyspace);
  if (tree == nullptr || !impl_->MayContain(key)) return false;
  const EntryPtr entry = tree->tree.FindKey({key, AgeOf(seq)});
  if (entry == nullptr) return false;
  found->tag = EntryTag(entry);
  found->value = EntryValue(entry);
  return true;
}

void Memtable::GetMany(uint32_t keyspace, const Slice* keys, size_t count, Sequence seq,
                       Found* found) const noexcept {
  const KeyspaceTree* tree = impl_->trees_.Find(keyspace);
  std::fill(found, found + count, Found());
  if (tree == nullptr) return;
  Slice wanted[Tree::kTogether];
  size_t place[Tree::kTogether];
  EntryPtr entries[Tree::kTogether];
  for (size_t next = 0; next < count;) {
    int n = 0;
    for (; next < count && n < Tree::kTogether; ++next) {
      if (!impl_->MayContain(keys[next])) continue;
      wanted[n] = keys[next];
      place[n++] = next;
    }
    if (n != 0) tree->tree.FindKeys(wanted, AgeOf(seq), n, entries);
    for (int i = 0; i < n; ++i) {
      if (entries[i] != nullptr)
        found[place[i]] = Found{EntryTag(entries[i]), EntryValue(entries[i])};
    }
  }
}

Sequence Memtable::MaxCovering(uint32_t keyspace, Slice key, Sequence seq) const noexcept {
  if (impl_->tombstones_.load(std::memory_order_acquire) == 0) return 0;
  const TombstoneLog* log = impl_->FindLog(keyspace);
  return log == nullptr ? 0 : log->MaxCovering(key, seq);
}

Sequence Memtable::LatestSequence(uint32_t keyspace, Slice key) const noexcept {
  Found found;
  const Sequence version = Get(keyspace, key, kMaxSequence, &found) ? TagSequence(found.tag) : 0;
  return std::max(version, MaxCovering(keyspace, key, kMaxSequence));
}

bool Memtable::RangeDeletedSince(uint32_t keyspace, Slice begin, Slice end,
                                 Sequence since) const noexcept {
  if (impl_->tombstones_.load(std::memory_order_acquire) == 0) return false;
  const TombstoneLog* log = impl_->FindLog(keyspace);
  return log != nullptr && log->Overlaps(begin, end, since);
}

std::unique_ptr<InternalIterator> Memtable::NewIterator(uint32_t keyspace) const {
  const KeyspaceTree* tree = impl_->trees_.Find(keyspace);
  if (tree == nullptr || tree->tree.empty()) return nullptr;
  return std::make_unique<TreeIterator>(&tree->tree);
}

std::vector<std::shared_ptr<const RangeTombstoneSet>> Memtable::RangeTombstoneSets(
    uint32_t keyspace) const {
  const TombstoneLog* log = impl_->FindLog(keyspace);
  if (log == nullptr) return {};
  return log->RangeSets();
}

std::shared_ptr<const RangeTombstoneSet> Memtable::RangeTombstones(uint32_t keyspace) const {
  const TombstoneLog* log = impl_->FindLog(keyspace);
  return log == nullptr ? nullptr : log->RangeSet();
}

bool Memtable::Has(uint32_t keyspace) const noexcept {
  const KeyspaceTree* tree = impl_->trees_.Find(keyspace);
  return tree != nullptr && !tree->empty();
}

std::vector<uint32_t> Memtable::Keyspaces() const {
  std::vector<uint32_t> ids;
  impl_->trees_.ForEach([&ids](const KeyspaceTree* tree) {
    if (!tree->empty()) ids.push_back(tree->keyspace);
  });
  std::sort(ids.begin(), ids.end());
  return ids;
}

uint64_t Memtable::ApproximateBytes(uint32_t keyspace, Slice begin, Slice end) const noexcept {
  const KeyspaceTree* tree = impl_->trees_.Find(keyspace);
  return tree == nullptr ? 0 : tree->tree.ApproximateBytes(begin, end);
}

size_t Memtable::used_bytes() const noexcept {
  return impl_->entry_arena_.used_bytes() + impl_->node_arena_.used_bytes() +
         impl_->index_bytes_.load(std::memory_order_relaxed) + impl_->trees_.memory_bytes();
}

size_t Memtable::memory_bytes() const noexcept {
  return impl_->source_.memory_bytes() + impl_->index_bytes_.load(std::memory_order_relaxed) +
         impl_->trees_.memory_bytes() + impl_->SetBytes() + sizeof(Memtable) + sizeof(Impl);
}

size_t Memtable::counted_bytes() const noexcept { return impl_->source_.memory_bytes(); }

void Memtable::CountAs(MemoryBudget::Part part) noexcept { impl_->source_.CountAs(part); }

uint64_t Memtable::entries() const noexcept {
  return impl_->entries_.load(std::memory_order_acquire);
}

bool Memtable::empty() const noexcept {
  return entries() == 0 && impl_->tombstones_.load(std::memory_order_acquire) == 0;
}

}  // namespace kist
