// Medians and verdicts; the contract stands in results.h.
#include "results.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace kist::bench {

bool HigherIsBetter(const std::string& metric) {
  return metric == "rate" ||
         (metric.size() > 4 && metric.compare(metric.size() - 4, 4, "mb_s") == 0);
}

std::string Short(double v) {
  char text[40];
  if (v == 0 || std::isnan(v)) return v == 0 ? "0" : "-";
  const double magnitude = std::fabs(v);
  const int decimals = magnitude >= 100   ? 0
                       : magnitude >= 10  ? 1
                       : magnitude >= 1   ? 2
                       : magnitude >= 0.1 ? 3
                                          : 4;
  std::snprintf(text, sizeof text, "%.*f", decimals, v);
  return text;
}

std::optional<double> Results::Median(const std::string& profile, const std::string& row,
                                      const std::string& engine, const std::string& metric) const {
  const auto p = all_.find(profile);
  if (p == all_.end()) return std::nullopt;
  const auto r = p->second.find(row);
  if (r == p->second.end()) return std::nullopt;
  const auto e = r->second.find(engine);
  if (e == r->second.end()) return std::nullopt;
  std::vector<double> values;
  for (const Metrics& m : e->second) {
    const auto it = m.find(metric);
    if (it != m.end()) values.push_back(it->second);
  }
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

std::optional<double> Results::Best(const std::string& profile, const std::string& row,
                                    const std::string& metric, bool higher,
                                    const std::vector<std::string>& engines,
                                    std::string* who) const {
  std::optional<double> best;
  for (const std::string& engine : engines) {
    const std::optional<double> v = Median(profile, row, engine, metric);
    if (!v || (best && (higher ? *v <= *best : *v >= *best))) continue;
    best = v;
    *who = engine;
  }
  return best;
}

namespace {

const std::vector<std::string>& Peers() {
  static const std::vector<std::string> peers = {"rocksdb", "leveldb", "lmdb", "sqlite"};
  return peers;
}

std::string AimText(const Aim& aim) {
  const std::string metric = aim.metric;
  switch (aim.against) {
    case Against::kBestPeer:
      return metric == "rate" ? ">= " + Short(aim.least) + "x"
                              : metric + " >= " + Short(aim.least) + "x better";
    case Against::kBestLsm:
      return metric == "rate" ? ">= " + Short(aim.least) + "x of the best LSM peer"
                              : metric + " <= best LSM peer";
    case Against::kDisk:
      return "<= " + Short(1 / aim.least) + "x the bare disk";
    case Against::kOwnRow:
      return ">= " + Short(aim.least) + "x own " + aim.other_row;
    case Against::kBound:
      return metric + (aim.higher_is_better ? " >= " : " <= ") + Short(aim.least);
  }
  return metric;
}

}  // namespace

std::vector<Verdict> Results::Judge(const std::string& profile, const Row& row) const {
  std::vector<Verdict> verdicts;
  for (const Aim& aim : row.aims) {
    if (aim.floors_only && profile != "values") continue;
    const std::optional<double> own = Median(profile, row.id, "kist", aim.metric);
    if (!own) continue;
    Verdict v;
    v.aim = &aim;
    v.text = AimText(aim);
    if (aim.against == Against::kBound) {
      v.figure = *own;
      v.reached = aim.higher_is_better ? *own >= aim.least : *own <= aim.least;
      verdicts.push_back(v);
      continue;
    }
    std::optional<double> other;
    if (aim.against == Against::kBestPeer)
      other = Best(profile, row.id, aim.metric, aim.higher_is_better, Peers(), &v.peer);
    if (aim.against == Against::kBestLsm) {
      other =
          Best(profile, row.id, aim.metric, aim.higher_is_better, {"rocksdb", "leveldb"}, &v.peer);
    }
    if (aim.against == Against::kDisk)
      other = Best(profile, row.id, aim.metric, aim.higher_is_better, {"disk"}, &v.peer);
    if (aim.against == Against::kOwnRow) other = Median(profile, aim.other_row, "kist", aim.metric);
    if (!other || *own == 0 || *other == 0) continue;
    v.figure = aim.higher_is_better ? *own / *other : *other / *own;
    v.reached = *v.figure >= aim.least;
    verdicts.push_back(v);
  }
  return verdicts;
}

std::optional<double> Results::Ratio(const std::string& profile, const Row& row,
                                     std::string* peer) const {
  // Opening, allocations and library sizes have bounds of their own; a ratio says nothing there.
  static const std::vector<std::string> kCompared = {"us_op", "p50_us", "max_us", "disk_mb",
                                                     "amplification"};
  if (std::count(kCompared.begin(), kCompared.end(), row.shown) == 0) return std::nullopt;
  return RatioOf(profile, row, row.shown, peer);
}

std::optional<double> Results::RatioOf(const std::string& profile, const Row& row,
                                       const std::string& metric, std::string* peer) const {
  const bool higher = HigherIsBetter(metric);
  const std::optional<double> own = Median(profile, row.id, "kist", metric);
  const std::optional<double> best = Best(profile, row.id, metric, higher, Peers(), peer);
  if (!own || !best || *own == 0 || *best == 0) return std::nullopt;
  return higher ? *own / *best : *best / *own;
}

}  // namespace kist::bench
