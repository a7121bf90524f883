// All results of a run and what follows from them: medians, the best peer, ratios, aims reached.
//
// Threads: one.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rows.h"

namespace kist::bench {

using Metrics = std::map<std::string, double>;

struct Verdict {
  const Aim* aim = nullptr;
  std::string text;              // "rate >= 2.2x of the best peer"
  std::optional<double> figure;  // the ratio, or the metric itself for a bound
  std::string peer;              // who was best
  bool reached = false;
};

struct Failure {
  std::string where;  // "small/fillrandom/leveldb"
  std::string why;
};

struct SeriesPoint {
  std::string engine, row;
  Metrics metrics;
};

class Results {
 public:
  void Add(const std::string& profile, const std::string& row, const std::string& engine,
           Metrics metrics) {
    all_[profile][row][engine].push_back(std::move(metrics));
  }
  using ByEngine = std::map<std::string, std::vector<Metrics>>;
  const std::map<std::string, std::map<std::string, ByEngine>>& all() const { return all_; }
  // The median over the rounds; nothing where the engine has no such figure.
  std::optional<double> Median(const std::string& profile, const std::string& row,
                               const std::string& engine, const std::string& metric) const;
  // The verdict on each aim of a row for which there are figures.
  std::vector<Verdict> Judge(const std::string& profile, const Row& row) const;
  // Kist against the best peer on the metric the table shows, above 1 where Kist is better.
  std::optional<double> Ratio(const std::string& profile, const Row& row, std::string* peer) const;
  // The same by another metric. By cpu_us_op it counts the background's work too, and holds on a
  // machine that others use.
  std::optional<double> RatioOf(const std::string& profile, const Row& row,
                                const std::string& metric, std::string* peer) const;

  std::vector<Failure> failures;
  std::vector<SeriesPoint> series;
  std::map<std::string, std::string> titles;            // by profile
  std::map<std::string, std::string> versions;          // by engine
  std::map<std::string, std::string> facts;             // machine and run, for the reports' heads
  std::vector<std::pair<uint64_t, std::string>> scale;  // entries and profile name of a scale run

 private:
  std::optional<double> Best(const std::string& profile, const std::string& row,
                             const std::string& metric, bool higher,
                             const std::vector<std::string>& engines, std::string* who) const;
  std::map<std::string, std::map<std::string, ByEngine>> all_;
};

bool HigherIsBetter(const std::string& metric);
std::string Short(double value);  // three significant digits

}  // namespace kist::bench
