// Workloads of `kist bench`: what one thread does for its share of the operations. Keys are decimal
// numbers below BenchConfig::keys, padded with zeros; values are half compressible.
//
// Thread rule: a BenchWorker belongs to one thread; `done` alone is shared.
#pragma once

#include <kist/kist.h>

#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include "cli/histogram.h"

namespace kist::cli {

struct BenchConfig {
  uint64_t keys = 1000 * 1000;
  uint64_t reads = 0;  // 0: as many as keys
  uint64_t key_size = 16;
  uint64_t value_size = 100;
  uint64_t batch = 1;  // puts a commit
  uint64_t threads = 1;
  uint64_t seed = 1;
  uint32_t durability = KIST_DURABILITY_OS;
};

// What one thread works with, and what it found.
struct BenchWorker {
  const BenchConfig& config;
  kist_db* db;
  kist_keyspace* keyspace;
  const std::string& noise;  // where values are cut from
  std::atomic<uint64_t>& done;
  uint64_t index;       // of the thread
  uint64_t operations;  // its share
  std::mt19937_64 random;
  Histogram latency;
  uint64_t bytes = 0;
  uint64_t found = 0;
  kist_rc rc = KIST_OK;
  kist_err err = KIST_ERR_INIT;
};

struct Workload {
  const char* name;
  const char* text;
  bool fresh;       // begins with an empty keyspace
  bool needs_data;  // of an earlier fill
  bool per_entry;   // its latencies are those of single operations
  uint64_t (*operations)(const BenchConfig& config);
  void (*run)(BenchWorker* worker);
};

const Workload* WorkloadAt(size_t index);  // nullptr past the last
const Workload* FindWorkload(std::string_view name);
std::string MakeNoise(uint64_t seed, uint64_t value_size);

}  // namespace kist::cli
