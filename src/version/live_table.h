// LiveTable: one live table file, shared by every version that lists it. TableStore: opens their
// readers when they are first needed, bounds how many are open, and removes the files of dead
// tables.
//
// Invariants
//  1. A LiveTable whose last reference goes is handed to its store's dead list where it was marked
//  obsolete, and only
//     TableStore::RemoveDead, called by the database's background thread, unlinks files: never a
//     reader, never after poison.
//  2. A reader inside an Epoch::Guard may use the Table* that LiveTable::Open returned without a
//  reference.
// Threads: any.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "table/table.h"
#include "util/epoch.h"
#include "util/mutex.h"
#include "util/ref.h"

namespace kist {

class TableStore;

class LiveTable {
 public:
  LiveTable(TableStore* store, uint64_t number, uint32_t keyspace, TableProperties properties)
      : number_(number), keyspace_(keyspace), properties_(std::move(properties)), store_(store) {}
  void Ref() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void Unref();

  uint64_t number() const { return number_; }
  uint32_t keyspace() const { return keyspace_; }
  const TableProperties& properties() const { return properties_; }
  uint64_t bytes() const { return properties_.file_bytes; }
  Slice smallest() const { return properties_.smallest_key; }

  // The open reader; valid while the caller is inside an Epoch::Guard of the store's epoch.
  Status Reader(Table** table) {
    Table* t = table_.load(std::memory_order_acquire);  // pairs with the release in OpenReader
    if (__builtin_expect(t != nullptr, 1)) {
      if (!used_.load(std::memory_order_relaxed)) used_.store(true, std::memory_order_relaxed);
      *table = t;
      return Status();
    }
    return OpenReader(table);
  }
  // The open reader with a reference, for iterators and jobs.
  Result<RefPtr<Table>> ReaderRef();

  // Whether key lies within what the file's entries and range tombstones span.
  bool MayHold(Slice key) const;
  // Whether the file spans anything in [begin, end]; `end_inclusive` false: [begin, end). end
  // unbounded where `to_last`.
  bool Overlaps(Slice begin, Slice end, bool end_inclusive, bool to_last) const;

  // CRC32C of the whole file, once a backup has computed it (the file never changes).
  bool file_crc(uint32_t* crc) const {
    const uint64_t known = file_crc_.load(std::memory_order_relaxed);
    *crc = static_cast<uint32_t>(known);
    return known >> 32 != 0;
  }
  void set_file_crc(uint32_t crc) {
    file_crc_.store(uint64_t{1} << 32 | crc, std::memory_order_relaxed);
  }

  void MarkObsolete();

 private:
  friend class TableStore;
  ~LiveTable();
  Status OpenReader(Table** table);

  const uint64_t number_;
  const uint32_t keyspace_;
  const TableProperties properties_;
  TableStore* const store_;
  std::atomic<uint32_t> refs_{1};
  std::atomic<bool> obsolete_{false};
  std::atomic<uint64_t> file_crc_{0};   // bit 32: known
  std::atomic<bool> used_{false};       // since the last sweep
  std::atomic<Table*> table_{nullptr};  // holds a reference; changed under store_->mutex_
};

class TableStore {
 public:
  struct Options {
    Vfs* vfs = nullptr;
    std::string dir;
    uint64_t database_id = 0;
    BlockCache* cache = nullptr;
    Epoch* epoch = nullptr;
    MemoryBudget* budget = nullptr;  // says how much open tables may take; may be nullptr
    uint32_t max_open = 4000;
    bool keep_open = false;  // no table is closed: its file may be gone (read-only databases)
    bool map = false;
    const std::atomic<bool>* frozen = nullptr;  // where it is true no file is removed any more
  };
  explicit TableStore(const Options& options) : options_(options), max_open_(options.max_open) {}
  ~TableStore();

  const Options& options() const { return options_; }
  void SetMaxOpen(size_t files) { max_open_.store(files, std::memory_order_relaxed); }
  std::string Path(uint64_t number) const;
  // Unlinks what died. A file that cannot be removed is kept for the next call.
  void RemoveDead();
  // Whether a file is to be removed, now or when its last reader goes.
  bool has_obsolete() const { return obsolete_.load(std::memory_order_acquire) != 0; }
  size_t open_tables();
  // Closes tables where they take too much.
  void Trim() KIST_EXCLUDES(mutex_);
  uint64_t reader_bytes() const { return reader_bytes_.load(std::memory_order_relaxed); }

 private:
  friend class LiveTable;
  Status Open(LiveTable* file, RefPtr<Table>* reader) KIST_EXCLUDES(mutex_);
  void Died(LiveTable* file);
  Status OpenHeld(LiveTable* file, RefPtr<Table>* reader, std::vector<Table*>* closed)
      KIST_EXCLUDES(mutex_);
  bool TooManyOpen() KIST_REQUIRES(mutex_);
  void CloseSome(std::vector<Table*>* closed) KIST_REQUIRES(mutex_);
  void SortOutObsolete(std::vector<Table*>* closed) KIST_REQUIRES(mutex_);
  void CountAsOld(Table* t) KIST_REQUIRES(mutex_);
  void Close(size_t at, std::vector<Table*>* closed) KIST_REQUIRES(mutex_);

  const Options options_;
  Mutex remove_mutex_;  // one RemoveDead at a time; before mutex_
  Mutex mutex_;
  std::vector<LiveTable*> open_ KIST_GUARDED_BY(mutex_);  // files with a reader; not references
  size_t hand_ KIST_GUARDED_BY(mutex_) = 0;
  std::vector<uint64_t> dead_ KIST_GUARDED_BY(mutex_);
  std::atomic<uint64_t> reader_bytes_{0};  // of open tables that are not old
  std::atomic<uint64_t> obsolete_{0};      // files marked and not removed yet
  std::atomic<size_t> max_open_;
};

}  // namespace kist
