// One worker process: a driver, a data set, and the rows it was asked to measure in order.
//
// A row function measures and calls Emit once, or Fail once; each becomes a line for the runner
// (result.h).
//
// Threads: everything here belongs to the main thread; rows start and join their own threads.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "driver.h"
#include "measure.h"
#include "result.h"
#include "workload.h"

namespace kist::bench {

struct WorkerOptions {
  Config config;
  DataSet set;
  bool fresh = false;
  double seconds = 3;  // of a row that is bounded by time
  uint64_t seed = 1;
  unsigned threads = 2;  // of the long runs
  std::vector<std::string> rows;
};

class Context {
 public:
  explicit Context(const WorkerOptions& options);

  const WorkerOptions& options() const { return options_; }
  const Workload& workload() const { return workload_; }
  Driver* driver() { return driver_.get(); }

  bool Open();  // with a warm-up in a scratch database first where options().fresh
  void Emit(const Result& result) { result.Print('R'); }
  bool Fail(const std::string& row, const std::string& why);

  // What the database holds: the first loaded entries of the load order, all of this generation.
  uint64_t loaded = 0;
  uint8_t generation = 0;
  // Once a row writes and reads at once: a byte per key number, 0 where absent, else the generation
  // of its newest value.
  std::vector<uint8_t> generations;
  Books fresh_books;  // when the fresh database was opened
  double open_seconds = 0;

 private:
  bool WarmUp();
  WorkerOptions options_;
  Workload workload_;
  std::unique_ptr<Driver> driver_;
};

// Reads `samples` random entries of those at [begin, begin + count) of the load order (of key order
// where in_order) and expects this generation, or absence where it is 0.
bool CheckSample(Context* context, uint64_t begin, uint64_t count, bool in_order, uint64_t samples,
                 uint8_t generation, std::string* why);

using RowFunction = bool (*)(Context*, const std::string& row);
const std::map<std::string, RowFunction>& Rows();

// Rows by file.
bool RowFill(
    Context*,
    const std::string&);  // fillseq, fillrandom, fillbatch, overwrite, deleterandom, fillsync, ...
bool RowSettle(Context*, const std::string&);  // settle, compact: space and bytes written
bool RowLoad(Context*,
             const std::string&);  // fills, settles and compacts a data set that later rows read
bool RowFillKill(Context*, const std::string&);  // a full log, then SIGKILL
bool RowReopen(Context*, const std::string&);    // what open replayed
bool RowRead(Context*,
             const std::string&);  // readrandom, readmissing, readhot, and on several threads
bool RowScan(Context*, const std::string&);  // readseq, readseq_many, readreverse, seek10
bool RowReadWhileWriting(Context*, const std::string&);
bool RowYcsb(Context*, const std::string&);
bool RowAllocations(Context*, const std::string&);
bool RowLong(Context*, const std::string&);  // stall, mixed

}  // namespace kist::bench
