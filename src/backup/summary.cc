// Reading listings and last ranges for a summary. What a pruning removes meanwhile is looked at
// anew.
// Threads: any.
#include "backup/summary.h"

#include <algorithm>
#include <set>

#include "backup/catalog.h"

namespace kist {
namespace {

constexpr int kTries = 5;

Result<GenerationSummary> Summarize(Target* target, const Catalog& catalog,
                                    const CatalogGeneration& g) {
  GenerationSummary s;
  s.number = g.number;
  s.finished = !g.bases.empty();
  s.bases = g.bases.size();
  s.ranges = g.ranges.size();
  s.bytes = g.bytes;
  std::set<uint64_t> tables;
  for (const auto& [lsn, name] : g.bases) {
    KIST_TRY_ASSIGN(const BaseListing base, ReadBase(target, catalog, name));
    if (s.first_time_ms == 0) s.first_time_ms = base.time_ms;
    s.last_time_ms = std::max(s.last_time_ms, base.time_ms);
    for (const BaseTable& t : base.tables) {
      if (tables.insert(t.number).second) s.table_bytes += t.bytes;
    }
  }
  if (s.finished) {
    s.first_seq = g.bases.begin()->first;
    s.last_seq = g.bases.rbegin()->first;
  }
  if (!g.ranges.empty()) {
    KIST_TRY_ASSIGN(const RangeHeader h,
                    ReadRangeHeader(target, catalog, g.ranges.rbegin()->second));
    s.last_seq = std::max(s.last_seq, h.last_lsn);
    s.last_time_ms = std::max(s.last_time_ms, h.captured_ms);
  }
  return s;
}

}  // namespace

Result<std::vector<GenerationSummary>> SummarizeTarget(Target* target) {
  for (int tries = 1;; ++tries) {
    KIST_TRY_ASSIGN(const Catalog catalog, Catalog::Load(target, Catalog::Part::kStates));
    std::vector<GenerationSummary> all;
    Status s;
    for (const auto& [number, g] : catalog.generations) {
      Result<GenerationSummary> one = Summarize(target, catalog, g);
      s = one.status();
      if (!s.ok()) break;
      all.push_back(one.Take());
    }
    if (s.ok()) return all;
    if (!s.Is(Code::kMissing) || tries == kTries) return s;
  }
}

}  // namespace kist
