// RocksDB behind the benchmark's driver interface, as Debian ships it.
//
// Durability: kOs is WriteOptions::sync = false (each commit's log record is handed to write(2));
// kSync is sync = true (an fdatasync a commit, shared by a group). Everything else is RocksDB's
// default, except what the comparison fixes for all: block cache and write buffer in bytes, a Bloom
// filter of 10 bits per key, Snappy or no compression.
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/version.h>
#include <rocksdb/write_batch.h>

#include "driver.h"
#include "measure.h"

namespace kist::bench {

namespace {

rocksdb::Slice ToSlice(std::string_view s) { return {s.data(), s.size()}; }

class RocksSession : public Session {
 public:
  RocksSession(rocksdb::DB* db, bool sync) : db_(db) { write_.sync = sync; }

  bool Put(std::string_view key, std::string_view value) override {
    return Check(db_->Put(write_, ToSlice(key), ToSlice(value)));
  }
  bool PutBatch(const KeyValue* entries, size_t count) override {
    batch_.Clear();
    for (size_t i = 0; i < count; ++i)
      batch_.Put(ToSlice(entries[i].key), ToSlice(entries[i].value));
    return Check(db_->Write(write_, &batch_));
  }
  bool Delete(std::string_view key) override { return Check(db_->Delete(write_, ToSlice(key))); }
  Found Get(std::string_view key, std::string_view* value) override {
    value_.Reset();
    const rocksdb::Status s = db_->Get(read_, db_->DefaultColumnFamily(), ToSlice(key), &value_);
    if (s.ok()) {
      *value = {value_.data(), value_.size()};
      return Found::kYes;
    }
    if (s.IsNotFound()) return Found::kNo;
    Check(s);
    return Found::kError;
  }
  bool Scan(bool forward, EntryCheck* check) override {
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(read_));
    if (forward) {
      for (it->SeekToFirst(); it->Valid(); it->Next()) Show(it.get(), check);
    } else {
      for (it->SeekToLast(); it->Valid(); it->Prev()) Show(it.get(), check);
    }
    return Check(it->status());
  }
  bool SeekScan(std::string_view key, size_t count, EntryCheck* check) override {
    if (!static_ || seeker_ == nullptr) seeker_.reset(db_->NewIterator(read_));
    seeker_->Seek(ToSlice(key));
    for (size_t i = 0; i < count && seeker_->Valid(); ++i) {
      Show(seeker_.get(), check);
      if (i + 1 < count) seeker_->Next();
    }
    return Check(seeker_->status());
  }
  void StaticReads(bool on) override {
    static_ = on;
    seeker_.reset();
  }

 private:
  bool Check(const rocksdb::Status& s) { return s.ok() || Fail(s.ToString()); }
  static void Show(rocksdb::Iterator* it, EntryCheck* check) {
    const rocksdb::Slice key = it->key();
    const rocksdb::Slice value = it->value();
    check->Add(key.data(), key.size(), value.data(), value.size());
  }
  rocksdb::DB* db_;
  rocksdb::WriteOptions write_;
  rocksdb::ReadOptions read_;
  rocksdb::WriteBatch batch_;
  rocksdb::PinnableSlice value_;
  std::unique_ptr<rocksdb::Iterator> seeker_;
  bool static_ = false;
};

class RocksDriver : public Driver {
 public:
  std::string Version() override {
    return "RocksDB " + std::to_string(ROCKSDB_MAJOR) + "." + std::to_string(ROCKSDB_MINOR) + "." +
           std::to_string(ROCKSDB_PATCH);
  }
  bool Open(const Config& config) override {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = config.write_buffer_bytes;
    options.compression =
        config.compression ? rocksdb::kSnappyCompression : rocksdb::kNoCompression;
    options.allow_mmap_reads = config.mapped_reads;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(config.cache_bytes);
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocksdb::DB* db = nullptr;
    const rocksdb::Status s = rocksdb::DB::Open(options, config.dir, &db);
    if (!s.ok()) return Fail(s.ToString());
    db_.reset(db);
    sync_ = config.durability == Durability::kSync;
    return true;
  }
  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<RocksSession>(db_.get(), sync_);
  }
  bool Settle() override {
    const rocksdb::Status s = db_->Flush(rocksdb::FlushOptions());
    if (!s.ok()) return Fail(s.ToString());
    return WaitQuiet(600) || Fail("background work does not end");
  }
  bool Compact() override {
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    const rocksdb::Status s = db_->CompactRange(options, nullptr, nullptr);
    if (!s.ok()) return Fail(s.ToString());
    return WaitQuiet(600) || Fail("background work does not end");
  }
  void Close() override { db_.reset(); }

 private:
  std::unique_ptr<rocksdb::DB> db_;
  bool sync_ = false;
};

}  // namespace

std::unique_ptr<Driver> NewDriver() { return std::make_unique<RocksDriver>(); }

}  // namespace kist::bench
