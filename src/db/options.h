// Options: every option of a database and a keyspace, and the registry that names them for
// kist_options_*.
// Invariants:
//  1. The table in options.cc is the one place that knows an option's name, bounds and text.
//  2. Text is parsed strictly: no sign, space, fraction, empty value or trailing byte; no value is
//     ever clamped.
//  3. What Get returns, Set accepts, and it means the same.
#pragma once

#include <cstdint>
#include <string>

#include "table/table.h"
#include "util/status.h"

namespace kist {

// When commits of KIST_DURABILITY_DEFAULT reach stable storage.
struct SyncPolicy {
  enum class Kind { kEveryWrite, kEveryN, kInterval, kHybrid, kNever };
  Kind kind = Kind::kEveryWrite;
  uint64_t commits = 0;      // every_n, hybrid
  uint64_t interval_us = 0;  // interval, hybrid
};

struct KeyspaceOptions {
  Compression compression = Compression::kAdaptive;
  uint32_t filter_bits = 10;
  uint32_t block_size = 4096;
  int64_t default_ttl_ms = 0;  // 0: never
  uint64_t target_file_size = uint64_t{32} << 20;
};

// Of kist_stream_start; the database's own are the standard.
struct StreamOptions {
  uint64_t interval_us = 250000;                 // between looks for new commits
  uint64_t log_bytes_max = uint64_t{1} << 30;    // held while the target cannot be reached
  uint64_t base_percent = 100;                   // log since a base, of the base's size
  uint64_t base_bytes_min = uint64_t{64} << 20;  // and at least so much; not an option
  uint64_t base_ranges = 8192;                   // or so many ranges since then; not an option
};

struct DbOptions {
  bool create_if_missing = true;
  bool error_if_exists = false;
  bool read_only = false;
  SyncPolicy sync;
  bool write_back = false;                       // DEFAULT durability means BUFFERED
  uint64_t write_back_size = uint64_t{4} << 20;  // drained at the latest at so many bytes
  uint64_t write_back_interval_us = 100000;      // or so long after the first
  uint64_t memory_budget = uint64_t{256} << 20;
  uint64_t cache_size = 0;         // 0: derived from memory_budget
  uint64_t write_buffer_size = 0;  // 0: derived
  bool memtable_preallocate = false;
  bool wal_preallocate = true;
  bool wal_timestamps = true;
  Compression wal_compression = Compression::kNone;
  bool compaction_manual = false;
  uint32_t compaction_threads = 1;
  uint32_t max_open_files = 4000;
  uint32_t max_key_size = 65535;
  uint64_t max_value_size = uint64_t{1} << 30;
  uint64_t log_retention = 0;  // bytes of log kept for feeds beyond need
  bool mmap_reads = false;
  StreamOptions stream;
  bool verify_on_open = false;          // all of every table, not just that it is there
  uint64_t retry_interval_us = 200000;  // between tries of a failed flush or compaction
  uint32_t latency_sampling = 64;       // one in so many short calls is timed; 0: none
  KeyspaceOptions keyspace;             // of the default keyspace, and what others derive from

  uint64_t CacheBytes() const;  // the most; what the budget leaves may be less
  uint64_t WriteBufferBytes() const;
  // kInvalid where what was set cannot stay within memory_budget.
  Status CheckSizes() const;
};

class Logger;  // db/logger.h

// One line of the registry. The texts live as long as the library.
struct OptionInfo {
  const char* name;
  const char* type;  // "bytes", "duration", "count", "bool", "choice", "sync"
  const char* standard;
  const char* bounds;
  const char* text;
  bool database;
  bool keyspace;
  bool live;
};
const OptionInfo* DescribeOption(size_t index);  // nullptr past the last
const OptionInfo* FindOption(Slice name);        // nullptr where there is none

// A set of name = value pairs that were checked one by one; kist_options holds one.
// Threads: one at a time.
class OptionSet {
 public:
  // kInvalid with a message that names the option, the value and its bounds; nothing was changed.
  // A name that begins with '?' is ignored where unknown.
  Status Set(Slice name, Slice value);
  // Bytes, counts, microseconds of durations, 0 or 1 of bools.
  Status SetU64(Slice name, uint64_t value);
  // "a=1; b=2": all or nothing; the message says at which byte, failed_name (may be NULL) of which
  // option, empty where there is none.
  Status Parse(Slice text, Slice* failed_name = nullptr);
  // Canonical text of the value set, else the standard one.
  Result<std::string> Get(Slice name) const;
  const DbOptions& values() const { return values_; }
  bool IsSet(Slice name) const;
  // `base` with what was set here: the options of a new keyspace.
  KeyspaceOptions KeyspaceOver(const KeyspaceOptions& base) const;
  // Changes what was set here in *values, and nothing else.
  void ApplyTo(DbOptions* values) const;
  // The first option set for which `refuse` holds; nullptr where there is none.
  const OptionInfo* FirstSet(bool (*refuse)(const OptionInfo&)) const;

 private:
  DbOptions values_;
  uint64_t set_ = 0;  // bit i: the registry's i-th option was set
};

// Keyspace options as text ("compression=snappy; ...") for manifest and log, and back. Decoding
// skips names that it does not know (a newer version wrote them) and refuses bad values.
std::string EncodeKeyspaceOptions(const KeyspaceOptions& options);
Result<KeyspaceOptions> DecodeKeyspaceOptions(Slice text);

}  // namespace kist
