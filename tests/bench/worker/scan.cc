// The scanning rows: whole passes over the data set, and short ranges from random places.
//
// A pass is checked by its order-sensitive sum, which must equal that of the data set; every 64th
// value is compared whole. A short range must hold exactly the keys and values that belong there.
#include <algorithm>

#include "context.h"

namespace kist::bench {

namespace {

enum class Direction { kForward, kMany, kBackward };

bool ScanOnce(Session* session, Direction direction, EntryCheck* check) {
  check->BeginSum();
  if (direction == Direction::kMany) return session->ScanMany(check);
  return session->Scan(direction == Direction::kForward, check);
}

bool ScanPasses(Context* context, const std::string& row, Direction direction) {
  std::unique_ptr<Session> session = context->driver()->NewSession();
  session->StaticReads(true);
  const uint64_t expected = EntryCheck::ExpectedSum(
      context->workload(), direction != Direction::kBackward, context->generation);
  EntryCheck check(&context->workload());
  uint64_t entries = 0;
  Histogram passes;
  std::unique_ptr<Phase> phase;
  uint64_t end = 0;
  for (int pass = 0;; ++pass) {
    if (pass == 1) {  // the first one warmed up
      phase = std::make_unique<Phase>();
      end = phase->begin().ns + static_cast<uint64_t>(context->options().seconds * 1e9);
    }
    const uint64_t begin = Ticks();
    if (!ScanOnce(session.get(), direction, &check)) return context->Fail(row, session->error());
    if (!check.ok()) return context->Fail(row, check.why());
    if (check.count() != context->loaded || check.sum() != expected) {
      return context->Fail(row, "a scan of " + std::to_string(check.count()) +
                                    " entries, not the " + std::to_string(context->loaded) +
                                    " expected, or in a wrong order or with wrong values");
    }
    if (pass == 0) continue;
    passes.Add(Ticks() - begin);
    entries += check.count();
    if (NowNs() >= end) break;
  }
  Result result(row);
  phase->Finish(entries, &result);
  result.Set("passes", static_cast<double>(passes.total()));
  session->StaticReads(false);
  context->Emit(result);
  return true;
}

bool ShortRanges(Context* context, const std::string& row) {
  const Workload& workload = context->workload();
  const uint64_t n = workload.set().entries;
  std::vector<uint8_t> generations(2 * n, 0);
  for (uint64_t i = 0; i < n; ++i) generations[2 * i] = context->generation;
  std::unique_ptr<Session> session = context->driver()->NewSession();
  session->StaticReads(true);
  EntryCheck check(&workload);
  Random random(context->options().seed + 3);
  char key[kKeyBytes];
  Histogram latencies;
  Result result(row);
  const double seconds = context->options().seconds;
  const double lengths[3] = {std::max(0.3, seconds / 5), seconds,
                             std::max(0.3, seconds / 4)};  // warm-up, rate, latencies
  for (int pass = 0; pass < 3; ++pass) {
    const Phase phase;
    const uint64_t deadline = phase.begin().ns + static_cast<uint64_t>(lengths[pass] * 1e9);
    uint64_t last = Ticks();
    uint64_t i = 0;
    for (;; ++i) {
      if ((i & 63) == 0 && NowNs() >= deadline) break;
      const uint64_t number = random.Below(2 * (n - 10));
      check.BeginExact(number, &generations);
      if (!session->SeekScan(workload.KeyView(number, key), 10, &check))
        return context->Fail(row, session->error());
      if (!check.ok() || check.count() != 10)
        return context->Fail(row, "short range: " + check.why());
      if (pass != 2) continue;
      const uint64_t now = Ticks();
      latencies.Add(now - last);
      last = now;
    }
    if (pass == 1) phase.Finish(i, &result);
  }
  result.SetLatencies(latencies);
  session->StaticReads(false);
  context->Emit(result);
  return true;
}

}  // namespace

bool RowScan(Context* context, const std::string& row) {
  if (row.compare(0, 4, "seek") == 0) return ShortRanges(context, row);
  if (row == "readreverse") return ScanPasses(context, row, Direction::kBackward);
  return ScanPasses(context, row, row == "readseq_many" ? Direction::kMany : Direction::kForward);
}

}  // namespace kist::bench
