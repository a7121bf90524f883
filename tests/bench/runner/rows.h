// The benchmark's table: which rows there are, in which order they are shown, and what each must
// reach.
//
// A row's id is the worker's row name plus the suffix of the sequence that ran it ("readrandom" +
// "_64m"). The aims are those of the design: Kist's figure against the best peer of the same run,
// or against a bound.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kist::bench {

enum class Against {
  kBestPeer,  // the best of RocksDB, LevelDB, LMDB, SQLite
  kBestLsm,   // the better of RocksDB and LevelDB
  kDisk,      // the bare disk's same row
  kOwnRow,    // Kist's own figure in another row
  kBound,     // a number
};

struct Aim {
  const char* metric;
  bool higher_is_better;
  Against against;
  // A ratio (for kBound: the number itself). A "ratio" is always the better way up: above 1 Kist is
  // better; so is `least` for kDisk and kBestLsm, where 1/1.1 says "at most 1.1 times".
  double least;
  const char* other_row = nullptr;  // kOwnRow
  bool floors_only = false;         // judged in the profile of large values alone
};

struct Row {
  const char* id;
  const char* title;
  const char* shown;  // the metric that stands in the table
  const char* unit;
  std::vector<Aim> aims;
};

const std::vector<Row>& Table();
const Row* FindRow(const std::string& id);

// What one worker process does: some rows on one database.
struct Sequence {
  // On an empty database; on the loaded data set; on a copy of it that may be changed; on what a
  // killed process left behind.
  enum class Kind { kFresh, kRead, kCopy, kKill };
  const char* name = "";
  Kind kind = Kind::kFresh;
  std::vector<const char*> rows;
  unsigned cache_mib = 0;  // 0: the run's main cache
  bool compression = true;
  bool mapped = false;  // engines that can map their tables do
  bool sync = false;
  unsigned entries_factor = 1;
  const char* suffix = "";
  bool with_disk = false;  // the bare disk beside the engines
  bool counted_allocations = false;
  bool with_variants = false;
};

const std::vector<Sequence>& Sequences();

// A peer used in a way that is no like for like comparison, yet worth knowing; shown, never judged.
struct Variant {
  const char* name;  // the worker's name, an underscore, what differs
  const char* title;
  const char* tuning;
};
const std::vector<Variant>& Variants();

struct Profile {
  const char* name;
  const char* title;
  uint64_t entries;
  uint32_t value_bytes;
};
const std::vector<Profile>& Profiles();

}  // namespace kist::bench
