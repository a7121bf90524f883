// The long rows: an overload of writes, and a steady mix, each with one line a second.
//
// stall: every thread overwrites random keys as fast as it can. The longest pause of any write and
// the p99.9 of each second show whether back-pressure is gradual. mixed: half reads, 40 %
// overwrites, 5 % deletes, 5 % short ranges; a drift of memory or latency over the minutes shows in
// the series. Thread t owns the keys i with i % threads == t, so every answer has one right value.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "context.h"

namespace kist::bench {

namespace {

struct Lane {
  std::mutex mutex;   // guards second, only swapped once a second
  Histogram second;   // operations since the last look
  uint64_t done = 0;  // of this second
  std::string error;
};

struct LongRun {
  Context* context;
  bool mixed;
  std::atomic<bool> stop{false};
};

bool LongStep(LongRun* run, Session* session, uint64_t r, uint64_t i, char* key, std::string* value,
              EntryCheck* check, std::string* error) {
  const Workload& workload = run->context->workload();
  const uint64_t number = 2 * i;
  uint8_t& generation = run->context->generations[number];
  const std::string_view k = workload.KeyView(number, key);
  const unsigned dice = run->mixed ? static_cast<unsigned>((r >> 48) % 100) : 0;
  if (dice < (run->mixed ? 40u : 100u)) {
    const uint8_t next = generation == 255 ? 1 : static_cast<uint8_t>(generation + 1);
    workload.Value(number, next, value->data());
    if (!session->Put(k, *value)) *error = session->error();
    generation = next;
  } else if (dice < 45) {
    if (!session->Delete(k)) *error = session->error();
    generation = 0;
  } else if (dice < 50) {
    check->BeginSum();  // other threads change the neighbours: lengths and sampled values only
    if (!session->SeekScan(k, 10, check)) *error = session->error();
    if (!check->ok()) *error = check->why();
  } else {
    std::string_view got;
    const Found found = session->Get(k, &got);
    if (found == Found::kError) *error = session->error();
    const bool right =
        generation == 0
            ? found == Found::kNo
            : found == Found::kYes && workload.ValueIs(got, number, generation, (r & 15) == 0);
    if (!right && error->empty())
      *error = "a wrong answer for key number " + std::to_string(number);
  }
  return error->empty();
}

void LongLane(LongRun* run, unsigned t, unsigned threads, Session* session, Lane* lane) {
  const uint64_t n = run->context->workload().set().entries / threads;
  Random random(run->context->options().seed * 131 + t);
  EntryCheck check(&run->context->workload());
  char key[kKeyBytes];
  std::string value(run->context->workload().set().value_bytes, '\0');
  Histogram batch;
  uint64_t last = Ticks();
  const uint64_t slice = static_cast<uint64_t>(50e6 / NsPerTick());  // merged every 50 ms
  uint64_t merged = last;
  uint64_t done = 0;
  while (!run->stop.load(std::memory_order_relaxed)) {
    const uint64_t r = random.Next();
    const uint64_t i = random.Below(n) * threads + t;
    if (!LongStep(run, session, r, i, key, &value, &check, &lane->error)) return;
    const uint64_t now = Ticks();
    batch.Add(now - last);
    last = now;
    ++done;
    if (now - merged < slice) continue;
    std::lock_guard<std::mutex> lock(lane->mutex);
    lane->second.Merge(batch);
    lane->done += done;
    batch.Clear();
    done = 0;
    merged = last = Ticks();
  }
  std::lock_guard<std::mutex> lock(lane->mutex);
  lane->second.Merge(batch);
  lane->done += done;
}

}  // namespace

bool RowLong(Context* context, const std::string& row) {
  const unsigned threads = context->options().threads;
  const uint64_t n = context->workload().set().entries;
  if (context->generations.empty()) {
    context->generations.resize(2 * n, 0);
    for (uint64_t i = 0; i < n && context->loaded == n; ++i)
      context->generations[2 * i] = context->generation;
  }
  LongRun run{context, row == "mixed"};
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<std::unique_ptr<Lane>> lanes;
  for (unsigned t = 0; t < threads; ++t) {
    sessions.push_back(context->driver()->NewSession());
    if (sessions.back() == nullptr) return context->Fail(row, context->driver()->error());
    lanes.push_back(std::make_unique<Lane>());
  }
  const Phase phase;
  std::vector<std::thread> running;
  for (unsigned t = 0; t < threads; ++t)
    running.emplace_back(LongLane, &run, t, threads, sessions[t].get(), lanes[t].get());

  Histogram all;
  uint64_t ops = 0;
  bool failed = false;
  const auto seconds = static_cast<uint64_t>(std::max(1.0, context->options().seconds));
  for (uint64_t second = 1; second <= seconds && !failed; ++second) {
    SleepUntilNs(phase.begin().ns + second * 1000000000u);
    Histogram now;
    uint64_t done = 0;
    for (auto& lane : lanes) {
      std::lock_guard<std::mutex> lock(lane->mutex);
      now.Merge(lane->second);
      lane->second.Clear();
      done += lane->done;
      lane->done = 0;
      failed = failed || !lane->error.empty();
    }
    all.Merge(now);
    ops += done;
    Result line(row);
    line.Set("t", static_cast<double>(second));
    line.Set("rate", static_cast<double>(done));
    line.Set("live_mb", static_cast<double>(RssBytes()) * 1e-6);
    line.SetLatencies(now);
    line.Print('S');
  }
  run.stop.store(true);
  for (std::thread& t : running) t.join();
  for (auto& lane : lanes) {
    if (!lane->error.empty()) return context->Fail(row, lane->error);
    all.Merge(lane->second);  // a write that was still pausing at the end counts too
    ops += lane->done;
  }
  Result result(row);
  phase.Finish(ops, &result);
  result.SetLatencies(all);
  result.Set("disk_mb", static_cast<double>(DiskBytes(context->options().config.dir)) * 1e-6);
  context->Emit(result);
  return true;
}

}  // namespace kist::bench
