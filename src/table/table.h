// Tables: immutable sorted files of versions. See src/FORMAT.md for the bytes: data blocks, range tombstones, filter, index, properties,
// footer; every block carries its checksum; the footer says the file's exact size, so that bytes behind it are damage.
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
#include "util/ref.h"
#include "vfs/vfs.h"

namespace kist {

enum class Compression : uint8_t { kNone = 0, kSnappy = 1, kAdaptive = 2 };  // adaptive: raw where a block does not shrink by an eighth

struct TableOptions {
  uint64_t table_id = 0;     // file number
  uint64_t database_id = 0;  // both go into the properties and checksum seeds
  uint32_t keyspace = 0;
  Compression compression = Compression::kAdaptive;
  uint32_t block_bytes = 4096;
  uint32_t filter_bits = 10;  // per key; 0: no filter
};

// What the builder learned and the manifest and the properties block store.
struct TableProperties {
  uint64_t file_bytes = 0;
  std::string smallest_key;  // user keys, range tombstones' begins included
  std::string largest_key;   // of entries; a tombstone's end is exclusive and kept in largest_end
  std::string tombstone_end; // greatest end of a range tombstone; meaningless without range tombstones
  bool tombstone_unbounded = false;  // a range tombstone reaches past the last key
  Sequence smallest_seq = 0;
  Sequence largest_seq = 0;
  uint64_t entries = 0;
  uint64_t deletes = 0;           // point tombstones
  uint64_t range_tombstones = 0;
  uint64_t ttl_entries = 0;
  int64_t earliest_expiry_ms = 0; // 0: none
  int64_t latest_expiry_ms = 0;
  uint64_t raw_key_bytes = 0;
  uint64_t raw_value_bytes = 0;
  uint64_t data_blocks = 0;
};

class TableBuilder {
 public:
  // `file` is new and empty; written in appends of about 1 MiB, with write-back started behind them.
  TableBuilder(const TableOptions& options, File* file, std::string file_name);
  ~TableBuilder();
  // In internal order, strictly ascending (kInternal otherwise).
  Status Add(Slice key, uint64_t tag, Slice value);
  Status AddRangeTombstone(const RangeTombstone& tombstone);  // any order, before Finish
  // Bytes the file has so far, the block under construction included.
  uint64_t estimated_bytes() const;
  uint64_t entries() const;
  // Writes the rest and syncs the file (not the directory).
  Status Finish(TableProperties* properties);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Where a point lookup ended.
struct TableFound {
  bool found = false;
  uint64_t tag = 0;
  Slice value;                 // of kPutTtl: with the expiry in front
  Block* block = nullptr;      // holds `value`; valid inside the caller's Epoch::Guard, or while `owned` lives
  RefPtr<Block> owned;            // set where the block is in no cache
};

class Table {
 public:
  struct OpenOptions {
    uint64_t table_id = 0;
    uint64_t database_id = 0;
    uint64_t file_bytes = 0;  // from the manifest; another size is kCorrupt
    BlockCache* cache = nullptr;  // may be nullptr
    bool map = false;             // read uncompressed blocks from a mapping (their checksum is checked on first touch)
  };
  // Reads footer, properties, index, filter, range tombstones, all checked. With one reference.
  static Result<RefPtr<Table>> Open(std::unique_ptr<File> file, std::string path, const OpenOptions& options);
  void Ref() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void Unref();

  // The newest version of key with a sequence <= seq. The caller is inside an Epoch::Guard of the cache's epoch. `hash` is
  // HashKey(key), computed once per lookup over all tables. Range tombstones apart.
  Status Get(Slice key, uint64_t hash, Sequence seq, const ReadContext& context, TableFound* found);
  bool MayContain(Slice key, uint64_t hash) const;  // the filter's answer
  std::unique_ptr<InternalIterator> NewIterator(const ReadContext& context);  // holds a reference
  const RangeTombstoneSet* range_tombstones() const;  // nullptr: none
  const TableProperties& properties() const;
  uint64_t memory_bytes() const;  // index, filter, tombstones, slots; without cached blocks
  // Approximate file bytes of the keys in [begin, end); empty end: to the last key.
  uint64_t ApproximateBytes(Slice begin, Slice end) const;
  // Keys that cut the table into about `parts` equal pieces (for subcompactions).
  std::vector<std::string> SplitKeys(size_t parts) const;
  // Reads everything, checks every checksum, order, counts, filter and properties. progress(bytes) may end it with a Status.
  Status Verify(const std::function<Status(uint64_t bytes)>& progress);
  // Calls fn for every entry of every block that can be read, and skips damaged blocks, telling of each (repair).
  Status Salvage(const std::function<Status(Slice key, uint64_t tag, Slice value)>& entry,
                 const std::function<void(uint64_t offset, const std::string& reason)>& damage);

 private:
  class Impl;
  Table() = default;
  ~Table();
  std::atomic<uint32_t> refs_{1};
  std::unique_ptr<Impl> impl_;
};

uint64_t HashKey(Slice key);

}  // namespace kist
