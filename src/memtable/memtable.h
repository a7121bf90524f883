// Memtable: the ordered in-memory map of the newest commits, one tree per keyspace that was
// written.
// Invariants:
//  1. Versions of a key are ordered newest first, one per sequence: of two with equal key and
//     sequence (of one commit) the one added last takes the place of the other.
//  2. After Reserve succeeded, Adds within it cannot fail.
//  3. Entries, once added, never move or change: slices into them stay valid while the memtable
//     lives.
//  4. Once it holds more than a little, a filter tells most keys that it does not hold
//     (memtable/key_filter.h): point reads of other keys cost one look at memory.
//  5. Readers never lock and never wait for the writer (they try again what it changed meanwhile).
//     RangeTombstones and RangeTombstoneSets alone take a mutex, where there are any.
// Threads: Reserve, Expect, Forget, Add* by one writer at a time; everything const by any thread
// beside it. Views, iterators and pins that use a memtable hold references.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "iter/internal_iterator.h"
#include "key/internal_key.h"
#include "util/memory_budget.h"
#include "util/slice.h"
#include "util/status.h"

namespace kist {

class ChunkReserve;       // memtable/chunk_reserve.h
class RangeTombstoneSet;  // iter/range_tombstones.h

class Memtable {
 public:
  // arena_bytes: the size it is meant to grow to; preallocate: reserve and touch that much memory
  // now; budget: counts its memory; reserve: of large chunks, must live while there are Adds.
  // Either may be nullptr. With one reference.
  static Result<Memtable*> New(size_t arena_bytes, bool preallocate, MemoryBudget* budget = nullptr,
                               ChunkReserve* reserve = nullptr);
  void Ref() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void Unref();  // the last one deletes
  bool shared() const { return refs_.load(std::memory_order_acquire) > 1; }

  // Makes sure that `entries` entries with `bytes` key and value bytes in all can be added to at
  // most `keyspaces` trees. kNoMem otherwise. Reservations do not add up: each is for what is added
  // until the next.
  Status Reserve(size_t entries, size_t bytes, size_t keyspaces = 1) noexcept;
  // Looks for the place of the next Add already, so that what it reads of memory arrives while the
  // caller does something else. Undone by Forget, without which the next Add must be this one.
  void Expect(uint32_t keyspace, Slice key, Sequence seq) noexcept;
  void Forget() noexcept;
  void Add(uint32_t keyspace, Slice key, uint64_t tag, Slice value) noexcept;
  // A put with an expiry: stores i64 expires_ms in front of the value (8 more bytes, which Reserve
  // counts by itself).
  void AddTtl(uint32_t keyspace, Slice key, Sequence seq, int64_t expires_ms, Slice value) noexcept;
  // Sequences of a keyspace's range tombstones never fall, and are not below its entries' so far.
  void AddRangeTombstone(uint32_t keyspace, Slice begin, Slice end, Sequence seq) noexcept;

  struct Found {
    uint64_t tag = 0;
    Slice value;
  };
  // The newest version of the key with a sequence <= seq. Range tombstones apart: see MaxCovering.
  bool Get(uint32_t keyspace, Slice key, Sequence seq, Found* found) const noexcept;
  // The same for several keys at once; what is not there has the tag 0.
  void GetMany(uint32_t keyspace, const Slice* keys, size_t count, Sequence seq,
               Found* found) const noexcept;
  // The highest sequence <= seq of a range tombstone that covers the key; 0 where there is none.
  Sequence MaxCovering(uint32_t keyspace, Slice key, Sequence seq) const noexcept;
  // The newest sequence of any version or covering tombstone of the key; 0 where there is none
  // (transactions' conflict check).
  Sequence LatestSequence(uint32_t keyspace, Slice key) const noexcept;
  // Whether a range tombstone newer than `since` overlaps [begin, end) (an empty end: no end).
  bool RangeDeletedSince(uint32_t keyspace, Slice begin, Slice end, Sequence since) const noexcept;
  // nullptr where the keyspace has no entries. The iterator borrows the memtable; it sees entries
  // added later too (readers filter by sequence). In a tag to seek with, sequences decide; a kind
  // of 0 is past the entry of its sequence.
  std::unique_ptr<InternalIterator> NewIterator(uint32_t keyspace) const;
  // The tombstones present at the call as immutable sets, shared: none, or as many as their number
  // has digits. Cheap also where additions and calls alternate: for iterators.
  std::vector<std::shared_ptr<const RangeTombstoneSet>> RangeTombstoneSets(uint32_t keyspace) const;
  // The same as one set, nullptr where there are none; built anew after an addition: for flushes.
  std::shared_ptr<const RangeTombstoneSet> RangeTombstones(uint32_t keyspace) const;
  // Whether the keyspace has entries or tombstones.
  bool Has(uint32_t keyspace) const noexcept;
  // About the bytes of a keyspace's entries in [begin, end); an empty end: to the last key.
  uint64_t ApproximateBytes(uint32_t keyspace, Slice begin, Slice end) const noexcept;
  // Keyspaces that have entries or tombstones, ascending.
  std::vector<uint32_t> Keyspaces() const;

  size_t used_bytes()
      const noexcept;  // memory handed out: entries, nodes, tombstones and their index
  size_t memory_bytes() const noexcept;   // memory taken from the system
  size_t counted_bytes() const noexcept;  // of these, what counts in the budget
  // What it counts as from now on, until this is called again; before, as memtables.
  void CountAs(MemoryBudget::Part part) noexcept;
  uint64_t entries()
      const noexcept;  // versions, without those that were replaced and without range tombstones
  bool empty() const noexcept;  // neither entries nor range tombstones

 private:
  class Impl;
  explicit Memtable(Impl* impl) : impl_(impl) {}
  ~Memtable();
  std::atomic<uint32_t> refs_{1};
  Impl* const impl_;
};

}  // namespace kist
