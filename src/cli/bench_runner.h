// BenchRunner: the database of a bench run and the threads of each workload.
//
// Thread rule: one thread calls it; it starts the workload's threads and has joined them when a
// call returns. The database is open from Open to Close and no workload outlives it.
#pragma once

#include <memory>
#include <string>

#include "cli/bench_workload.h"
#include "cli/context.h"
#include "cli/database.h"
#include "cli/output.h"

namespace kist::cli {

class BenchRunner {
 public:
  BenchRunner(Context* context, const BenchConfig& config, Output* output)
      : context_(*context), config_(config), output_(*output) {}
  ~BenchRunner();  // removes a temporary database

  // `path` empty: a temporary database. Otherwise its keyspace "bench", which must be new unless
  // `reuse`. 0 or the exit code, after having said why.
  int Open(const std::string& path, bool reuse);
  int Run(const Workload& workload);
  int Close();
  const std::string& path() const { return path_; }
  void PrintHeader() const;

 private:
  struct Result {
    uint64_t operations = 0;
    uint64_t bytes = 0;
    uint64_t found = 0;
    double seconds = 0;
    Histogram latency;
  };

  int OpenDatabase(bool reuse);
  int MakeFresh();
  int Prepare(const Workload& workload);
  int Measure(const Workload& workload, Result* result);
  void PrintRow(const Workload& workload, const Result& result) const;
  void PrintJson(const Workload& workload, const Result& result) const;

  Context& context_;
  const BenchConfig config_;
  Output& output_;
  std::unique_ptr<Database> database_;
  std::string path_;
  std::string noise_;
  bool temporary_ = false;
  bool dirty_ = false;   // something was written
  bool filled_ = false;  // a workload that reads finds its keys
};

}  // namespace kist::cli
