// Tables: immutable sorted files of versions. The bytes are drawn in format.h and the headers it
// names: data blocks, range tombstones, filter, index, properties, footer. Every block carries its
// checksum; the footer says the file's exact size, so that bytes behind it are damage.
//
// A get is: filter (one cache miss), index (a search in one flat array), an atomic pointer to the
// cached block, the block's hash bytes, one entry. It locks, counts and allocates nothing.
// Invariants
//  1. Everything but data blocks is read and checked by Open and stays in memory.
//  2. No read returns bytes of a block that did not pass its checksum.
//  3. A table outlives the readers inside a guard that can reach it: the owner drops the last
//     reference through the epoch.
// Threads: a builder has one user; a Table any number.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "iter/internal_iterator.h"
#include "iter/range_tombstones.h"
#include "key/internal_key.h"
#include "table/block.h"
#include "table/block_cache.h"
#include "table/filter.h"
#include "table/properties.h"
#include "table/stretches.h"
#include "table/table_blocks.h"
#include "table/table_types.h"
#include "util/hash.h"
#include "util/ref.h"
#include "vfs/vfs.h"

namespace kist {

// What filters and hash bytes are made of; part of the format.
inline uint64_t HashKey(Slice key) { return Hash64(key); }

class TableBuilder {
 public:
  // `file` is new and empty; written in appends of about 1 MiB, with write-back started behind
  // them.
  TableBuilder(const TableOptions& options, File* file, std::string file_name);
  ~TableBuilder();
  // In internal order, strictly ascending (kInternal otherwise). An error is final.
  Status Add(Slice key, uint64_t tag, Slice value);
  Status AddRangeTombstone(const RangeTombstone& tombstone);  // any order, before Finish
  // Bytes the file has so far, the block under construction included.
  uint64_t estimated_bytes() const;
  uint64_t entries() const;
  // Writes the rest and syncs the file (not the directory).
  Status Finish(TableProperties* properties);
  bool sync_failed() const;  // whether it was the sync that Finish failed at

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Where a point lookup ended.
struct TableFound {
  bool found = false;
  bool filtered = false;  // the filter said no
  uint64_t tag = 0;
  Slice value;             // of kPutTtl: with the expiry in front
  Block* block = nullptr;  // holds `value`; valid inside the caller's Epoch::Guard, or while
                           // `owned` lives
  RefPtr<Block> owned;     // set where the block is in no cache
};

class Table {
 public:
  struct OpenOptions {
    uint64_t table_id = 0;           // 0: whatever the table says (repair)
    uint64_t database_id = 0;        // 0: likewise
    uint64_t file_bytes = 0;         // from the manifest; another size is kCorrupt. 0: not known
    BlockCache* cache = nullptr;     // may be nullptr
    MemoryBudget* budget = nullptr;  // counts what Open keeps in memory; may be nullptr
    // Reads blocks from a mapping, raw ones in place; a block's checksum is checked on first touch.
    // The file must then not be changed by anyone, or reads see it.
    bool map = false;
  };
  // Reads footer, properties, index, filter, range tombstones, all checked. With one reference.
  static Result<RefPtr<Table>> Open(std::unique_ptr<File> file, std::string path,
                                    const OpenOptions& options);
  void Ref() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  // Whether anyone beside the caller holds it, as of now.
  bool shared() const { return refs_.load(std::memory_order_relaxed) > 1; }
  // From now on it counts as held by iterators. Threads: one at a time, its owner's.
  void CountAsOld(MemoryBudget* budget) {
    charge_ = MemoryCharge(budget, MemoryBudget::kOldTables, memory_bytes());
    old_ = true;
  }
  bool old() const { return old_; }

  // The newest version of key with a sequence <= seq. The caller is inside an Epoch::Guard of the
  // cache's epoch. `hash` is HashKey(key), computed once per lookup over all tables. Range
  // tombstones apart.
  Status Get(Slice key, uint64_t hash, Sequence seq, const ReadContext& context, TableFound* found);
  // The same in three steps, for callers with many keys, who take each step for all of them before
  // the next, so that its cache misses overlap. Locate gives kNowhere where the filter knows that
  // the key is absent.
  static constexpr uint32_t kNowhere = UINT32_MAX;
  void Prefetch(uint64_t hash) const { filter_.Prefetch(hash); }
  uint32_t Locate(Slice key, uint64_t hash, Sequence seq) const;
  Status GetAt(uint32_t block, Slice key, uint64_t hash, Sequence seq, const ReadContext& context,
               TableFound* found);
  bool has_filter() const { return filter_.present(); }
  // The filter's answer.
  bool MayContain(uint64_t hash) const { return filter_.MayContain(hash); }
  // Holds a reference. With context.readahead_bytes 0 it begins to read ahead by itself once
  // several blocks in a row were not cached.
  std::unique_ptr<InternalIterator> NewIterator(const ReadContext& context);
  // nullptr: none.
  const RangeTombstoneSet* range_tombstones() const { return range_tombstones_.get(); }
  const TableProperties& properties() const { return properties_; }
  const Stretches& stretches() const { return stretches_; }
  const TableIdentity& identity() const { return identity_; }
  const std::string& path() const { return blocks_.file().path; }
  // Index, filter, tombstones, slots; without cached blocks.
  uint64_t memory_bytes() const;
  // Approximate file bytes of the keys in [begin, end); empty end: to the last key.
  uint64_t ApproximateBytes(Slice begin, Slice end) const;
  // Reads everything from the file again, checks every checksum, order, counts, filter and
  // properties. progress(bytes) is told of each stretch read and may end it with a Status.
  Status Verify(const std::function<Status(uint64_t bytes)>& progress);

  using EntryFn = std::function<Status(Slice key, uint64_t tag, Slice value)>;
  using TombstoneFn = std::function<Status(const RangeTombstone& tombstone)>;
  using DamageFn = std::function<void(uint64_t offset, const std::string& reason)>;
  // Calls fn for every entry of every block that can be read, and skips damaged blocks, telling of
  // each (repair).
  Status Salvage(const EntryFn& entry, const DamageFn& damage);
  // The same of a file that Open refuses: looks for blocks by their checksums, without an index.
  // The ids are those that the file was written with; 0: the footer's, where it can be read.
  struct Salvaging {
    EntryFn entry;
    TombstoneFn tombstone;
    DamageFn damage;
    // Told of the bytes of each stretch read; may end it with a Status, as those above may.
    std::function<Status(uint64_t bytes)> progress = nullptr;
    uint32_t* keyspace = nullptr;  // set where it is not nullptr and the properties can be read
  };
  static Status SalvageFile(File* file, const std::string& path, uint64_t table_id,
                            uint64_t database_id, const Salvaging& to);

 private:
  Table() = default;
  ~Table() = default;
  static Result<RefPtr<Table>> OpenFile(RefPtr<TableFile> opened, const OpenOptions& options);
  Status LoadFooter(TableFile* file, const OpenOptions& options, Footer* footer);
  Status LoadParts(TableFile* file, const Footer& footer);
  Status LoadPart(const TableFile& file, const BlockSeal& seal, BlockType type, const Part& part,
                  const char* stored, uint64_t data_bytes);
  Status CheckProperties(const TableFile& file, const Footer& footer) const;
  Status ReadMissed(uint32_t i, const ReadContext& context, TableFound* found, Block** block);

  // Constant after Open.
  Filter filter_;
  TableBlocks blocks_;
  TableProperties properties_;
  Stretches stretches_;
  TableIdentity identity_;
  std::shared_ptr<const RangeTombstoneSet> range_tombstones_;
  // The owner's.
  MemoryCharge charge_;
  bool old_ = false;
  // Self-synchronised.
  std::atomic<uint32_t> refs_{1};
  // What the filter said last, of the keys that are asked: in which order Get looks at filter and
  // index. With the index first the filter's cache miss passes while the index is searched (a get
  // of a key that is there takes a tenth less); with the filter first an absent key needs no index.
  std::atomic<bool> mostly_there_{false};
  // One in so many keys is asked, so that threads with keys of both kinds seldom write it.
  static constexpr uint64_t kLearnEvery = 16;
};

}  // namespace kist
