// The execution of a run: which worker is started when, on which data.
//
// Order of a table run: for every profile, first the data sets that reading sequences share are
// loaded, one engine after the other; then for every sequence, round and engine one worker process,
// the engines' order turned by one each round, so that a drift of the machine falls on all of them.
#pragma once

#include <string>
#include <vector>

#include "results.h"
#include "rows.h"

namespace kist::bench {

struct RunOptions {
  std::string workers;  // directory of the worker programs
  std::string dir;      // where databases are made
  std::string out;      // directory of the reports
  std::vector<std::string> engines = {"kist", "rocksdb", "leveldb", "lmdb", "sqlite"};
  std::vector<std::string> profiles = {"small"};
  std::vector<std::string> rows;    // ids to run, empty: all
  std::vector<std::string> tuning;  // "engine:name=value,.."
  unsigned rounds = 3;
  double seconds = 3;
  unsigned cache_mib = 512;
  unsigned write_buffer_mib = 64;
  uint64_t entries = 0;  // 0: the profile's
  std::string keys = "decimal";
  uint64_t seed = 1;
  unsigned threads = 2;
  double minutes = 10;  // of a long run
  std::vector<uint64_t> scale_counts = {100000, 300000, 1000000, 3000000, 10000000, 20000000};
  bool keep = false;  // leave the databases
};

bool HasWorker(const RunOptions& options, const std::string& engine);
// Each returns whether every row of every engine ran and answered rightly.
bool RunTable(const RunOptions& options, Results* results);
bool RunScale(const RunOptions& options, Results* results);
bool RunLong(const RunOptions& options, const std::string& row, Results* results);

}  // namespace kist::bench
