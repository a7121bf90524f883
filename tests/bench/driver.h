// The one interface that every engine of the benchmark stands behind.
//
// A worker process links exactly one driver (drivers/<engine>.cc defines NewDriver), so that
// neither memory, nor allocator, nor library size of one engine disturbs another's figures. A
// Driver is one open database, a Session one thread's use of it.
//
// Rules for a driver: it uses its engine in the fastest way that keeps the meaning of the row,
// loops over entries inside the engine's own cursor (no virtual call per entry), copies no value
// that the engine lends, and never hides an error: a false or kError result fails the row. What a
// durability means for the engine is explained at the head of its file.
//
// Threads: Driver::NewSession from the main thread; a Session from one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "workload.h"

namespace kist::bench {

// kOs: handed to the operating system when the call returns (survives the process). kSync: on
// stable storage.
enum class Durability { kOs, kSync };

struct Config {
  std::string dir;
  uint64_t cache_bytes = uint64_t{512} << 20;
  uint64_t write_buffer_bytes = uint64_t{64} << 20;
  bool compression = true;    // Snappy where the engine has it
  bool mapped_reads = false;  // map tables where that is an option (LevelDB and LMDB always do)
  Durability durability = Durability::kOs;
  uint64_t data_bytes = 0;  // user bytes the database will hold at most; LMDB sizes its map by it
  uint64_t record_bytes = 116;
  std::string tuning;  // "name=value,..." for experiments; each driver knows its own names
};

enum class Found { kYes, kNo, kError };

struct KeyValue {
  std::string_view key;
  std::string_view value;
};

class Session {
 public:
  virtual ~Session() = default;
  virtual bool Put(std::string_view key, std::string_view value) = 0;
  virtual bool PutBatch(const KeyValue* entries, size_t count) = 0;  // one atomic commit
  virtual bool Delete(std::string_view key) = 0;
  // The newest committed value; *value is valid until the session's next call.
  virtual Found Get(std::string_view key, std::string_view* value) = 0;
  // Every entry from one end to the other, each shown to `check`, one engine call per entry.
  virtual bool Scan(bool forward, EntryCheck* check) = 0;
  // The same forwards by the engine's call that returns many entries, where it has one.
  virtual bool ScanMany(EntryCheck* check) { return Scan(true, check); }
  // Up to `count` entries from the first key >= `key` on.
  virtual bool SeekScan(std::string_view key, size_t count, EntryCheck* check) = 0;
  // A promise that nothing writes until StaticReads(false): a session may keep one read view for
  // all its reads.
  virtual void StaticReads(bool on) {}
  const std::string& error() const { return error_; }

 protected:
  bool Fail(const std::string& what) {
    error_ = what;
    return false;
  }
  std::string error_;
};

class Driver {
 public:
  virtual ~Driver() = default;
  virtual std::string Version() = 0;
  virtual bool Open(const Config& config) = 0;  // creates the database where there is none
  virtual std::unique_ptr<Session> NewSession() = 0;
  virtual bool Settle() {
    return true;
  }  // memory flushed where the engine can, background work done
  virtual bool Compact() { return true; }  // the smallest and fastest form that the engine offers
  virtual void Close() = 0;
  virtual uint64_t MemoryBudget() {
    return 0;
  }  // the limit the engine promises to keep, 0 where there is none
  const std::string& error() const { return error_; }

 protected:
  bool Fail(const std::string& what) {
    error_ = what;
    return false;
  }
  std::string error_;
};

std::unique_ptr<Driver> NewDriver();

// The value of `name` in config.tuning, else `standard`.
std::string Tuning(const Config& config, std::string_view name, std::string_view standard);

}  // namespace kist::bench
