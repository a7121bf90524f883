// What a worker tells the runner, a line on standard output each:
//   V text                     the engine's name and version
//   R <row> name=value ..      a result
//   S <row> name=value ..      one second of a long run
//   F <row> text               a row that failed: an error or a wrong answer
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "measure.h"

namespace kist::bench {

class Result {
 public:
  explicit Result(std::string row) : row_(std::move(row)) {}
  void Set(const char* name, double value) { values_.emplace_back(name, value); }
  void SetLatencies(const Histogram& histogram);
  void Print(char kind) const;
  const std::string& row() const { return row_; }

 private:
  std::string row_;
  std::vector<std::pair<std::string, double>> values_;
};

// The clock, books and memory over one phase.
class Phase {
 public:
  Phase() {
    ResetPeakRss();
    begin_ = Books::Now();
  }
  // seconds, ops, rate, us_op, cpu_us_op, rss_mb, written_mb
  void Finish(uint64_t ops, Result* result) const;
  const Books& begin() const { return begin_; }

 private:
  Books begin_;
};

}  // namespace kist::bench
