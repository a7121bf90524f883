// LevelDB behind the benchmark's driver interface, as Debian ships it.
//
// Durability: kOs is WriteOptions::sync = false (each record reaches write(2)); kSync is sync =
// true (fdatasync, shared by a group). Fixed for all engines: cache and write buffer in bytes, a
// Bloom filter of 10 bits, Snappy or none. LevelDB has no flush and no idle call: Settle waits
// until the process is quiet, and a log that is not yet a table stays one. Tuning:
// write_buffer_mib=N (LevelDB's own standard is 4).
#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include <cstdlib>

#include "driver.h"
#include "measure.h"

namespace kist::bench {

namespace {

leveldb::Slice ToSlice(std::string_view s) { return {s.data(), s.size()}; }

class LevelSession : public Session {
 public:
  LevelSession(leveldb::DB* db, bool sync) : db_(db) { write_.sync = sync; }

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
    const leveldb::Status s = db_->Get(read_, ToSlice(key), &value_);
    if (s.ok()) {
      *value = value_;
      return Found::kYes;
    }
    if (s.IsNotFound()) return Found::kNo;
    Check(s);
    return Found::kError;
  }
  bool Scan(bool forward, EntryCheck* check) override {
    std::unique_ptr<leveldb::Iterator> it(db_->NewIterator(read_));
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
  bool Check(const leveldb::Status& s) { return s.ok() || Fail(s.ToString()); }
  static void Show(leveldb::Iterator* it, EntryCheck* check) {
    const leveldb::Slice key = it->key();
    const leveldb::Slice value = it->value();
    check->Add(key.data(), key.size(), value.data(), value.size());
  }
  leveldb::DB* db_;
  leveldb::WriteOptions write_;
  leveldb::ReadOptions read_;
  leveldb::WriteBatch batch_;
  std::string value_;
  std::unique_ptr<leveldb::Iterator> seeker_;
  bool static_ = false;
};

class LevelDriver : public Driver {
 public:
  std::string Version() override {
    return "LevelDB " + std::to_string(leveldb::kMajorVersion) + "." +
           std::to_string(leveldb::kMinorVersion);
  }
  bool Open(const Config& config) override {
    cache_.reset(leveldb::NewLRUCache(config.cache_bytes));
    filter_.reset(leveldb::NewBloomFilterPolicy(10));
    leveldb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = config.write_buffer_bytes;
    const std::string own = Tuning(config, "write_buffer_mib", "");
    if (!own.empty()) options.write_buffer_size = std::strtoull(own.c_str(), nullptr, 10) << 20;
    options.block_cache = cache_.get();
    options.filter_policy = filter_.get();
    options.compression =
        config.compression ? leveldb::kSnappyCompression : leveldb::kNoCompression;
    leveldb::DB* db = nullptr;
    const leveldb::Status s = leveldb::DB::Open(options, config.dir, &db);
    if (!s.ok()) return Fail(s.ToString());
    db_.reset(db);
    sync_ = config.durability == Durability::kSync;
    return true;
  }
  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<LevelSession>(db_.get(), sync_);
  }
  bool Settle() override { return WaitQuiet(600) || Fail("background work does not end"); }
  bool Compact() override {
    db_->CompactRange(nullptr, nullptr);
    return Settle();
  }
  void Close() override { db_.reset(); }

 private:
  std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<const leveldb::FilterPolicy> filter_;
  std::unique_ptr<leveldb::DB> db_;
  bool sync_ = false;
};

}  // namespace

std::unique_ptr<Driver> NewDriver() { return std::make_unique<LevelDriver>(); }

}  // namespace kist::bench
