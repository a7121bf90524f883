// The writing rows: what is put, in which order, by how many threads; and what it cost on disk
// afterwards.
//
// One tick read per operation gives the latencies; the rate is operations over the wall clock until
// the last write was acknowledged. Background work that is still due is the settle row's business.
// After each row a random sample is read back.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <thread>

#include "context.h"

namespace kist::bench {

namespace {

struct FillPlan {
  uint64_t count = 0;
  unsigned threads = 1;
  uint32_t batch = 1;
  bool in_order = false;
  bool remove = false;
  uint8_t generation = 1;
  double seconds = 0;  // 0: all of count
};

struct FillThread {
  Histogram latencies;
  uint64_t done = 0;
  std::string error;
};

// Entries [begin, end) of the plan's order by one session.
void FillRange(const Context& context, const FillPlan& plan, Session* session, uint64_t begin,
               uint64_t end, FillThread* out) {
  const Workload& workload = context.workload();
  const Permutation order(workload.set().entries, context.options().seed);
  const size_t value_bytes = workload.set().value_bytes;
  std::vector<char> bytes(plan.batch * (kKeyBytes + value_bytes));
  std::vector<KeyValue> entries(plan.batch);
  const uint64_t limit =
      plan.seconds > 0 ? static_cast<uint64_t>(plan.seconds * 1e9 / NsPerTick()) : ~uint64_t{0};
  const uint64_t first = Ticks();
  uint64_t last = first;
  for (uint64_t i = begin; i < end && last - first < limit;) {
    const size_t n = std::min<uint64_t>(plan.batch, end - i);
    char* at = bytes.data();
    for (size_t j = 0; j < n; ++j, ++i) {
      const uint64_t number = 2 * (plan.in_order ? i : order.At(i));
      entries[j].key = workload.KeyView(number, at);
      at += kKeyBytes;
      if (plan.remove) continue;
      workload.Value(number, plan.generation, at);
      entries[j].value = {at, value_bytes};
      at += value_bytes;
    }
    bool ok;
    if (plan.remove) {
      ok = session->Delete(entries[0].key);
    } else if (plan.batch > 1) {
      ok = session->PutBatch(entries.data(), n);
    } else {
      ok = session->Put(entries[0].key, entries[0].value);
    }
    if (!ok) {
      out->error = session->error();
      return;
    }
    out->done += n;
    const uint64_t now = Ticks();
    out->latencies.Add(now - last);
    last = now;
  }
}

// Reads back a sample of what each thread was told is written.
bool CheckWritten(Context* context, const FillPlan& plan, const std::vector<FillThread>& results,
                  std::string* why) {
  const uint8_t generation = plan.remove ? 0 : plan.generation;
  for (unsigned t = 0; t < plan.threads; ++t) {
    const uint64_t begin = plan.count * t / plan.threads;
    const uint64_t samples = std::min<uint64_t>(10000, results[t].done);
    if (!CheckSample(context, begin, results[t].done, plan.in_order, samples, generation, why))
      return false;
  }
  return true;
}

bool RunFill(Context* context, const std::string& row, const FillPlan& plan) {
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<FillThread> results(plan.threads);
  for (unsigned t = 0; t < plan.threads; ++t) {
    sessions.push_back(context->driver()->NewSession());
    if (sessions.back() == nullptr) return context->Fail(row, context->driver()->error());
  }
  const Phase phase;
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < plan.threads; ++t) {
    const uint64_t begin = plan.count * t / plan.threads;
    const uint64_t end = plan.count * (t + 1) / plan.threads;
    if (plan.threads == 1) {
      FillRange(*context, plan, sessions[0].get(), begin, end, &results[0]);
    } else {
      threads.emplace_back([=, &results, &sessions] {
        FillRange(*context, plan, sessions[t].get(), begin, end, &results[t]);
      });
    }
  }
  for (std::thread& t : threads) t.join();
  uint64_t done = 0;
  Histogram latencies;
  for (FillThread& r : results) {
    if (!r.error.empty()) return context->Fail(row, r.error);
    done += r.done;
    latencies.Merge(r.latencies);
  }
  Result result(row);
  phase.Finish(done, &result);
  const double seconds = static_cast<double>(NowNs() - phase.begin().ns) * 1e-9;
  result.Set("user_mb_s",
             static_cast<double>(done * context->options().set.record_bytes()) * 1e-6 / seconds);
  result.SetLatencies(latencies);
  result.Set("disk_mb", static_cast<double>(DiskBytes(context->options().config.dir)) * 1e-6);
  sessions.clear();

  if (done == plan.count) {
    context->loaded = plan.count;
    context->generation = plan.remove ? 0 : plan.generation;
  }
  std::string why;
  if (!CheckWritten(context, plan, results, &why)) return context->Fail(row, why);
  context->Emit(result);
  return true;
}

}  // namespace

bool RowFill(Context* context, const std::string& row) {
  FillPlan plan;
  plan.count = context->options().set.entries;
  plan.generation = static_cast<uint8_t>(context->generation + 1);
  if (row == "fillseq") plan.in_order = true;
  if (row == "fillbatch" || row == "fillbatch_seq") plan.batch = 100;
  if (row == "fillbatch_seq") plan.in_order = true;
  if (row == "fillrandom_4t") plan.threads = 4;
  if (row == "deleterandom") plan.remove = true;
  if (row == "fillsync" || row == "fillsync_8t") plan.seconds = context->options().seconds;
  if (row == "fillsync_8t") plan.threads = 8;
  return RunFill(context, row, plan);
}

bool RowLoad(Context* context, const std::string& row) {
  FillPlan plan;
  plan.count = context->options().set.entries;
  if (!RunFill(context, row, plan)) return false;
  Driver* driver = context->driver();
  return (driver->Settle() && driver->Compact()) || context->Fail(row, driver->error());
}

bool RowSettle(Context* context, const std::string& row) {
  const Phase phase;
  const bool ok = row == "compact" ? context->driver()->Compact() : context->driver()->Settle();
  if (!ok) return context->Fail(row, context->driver()->error());
  Result result(row);
  phase.Finish(context->loaded, &result);
  const Books now = Books::Now();
  const double user = static_cast<double>(context->options().set.bytes());
  result.Set("amplification",
             static_cast<double>(now.written_calls - context->fresh_books.written_calls) / user);
  result.Set("disk_mb", static_cast<double>(DiskBytes(context->options().config.dir)) * 1e-6);
  std::string why;
  if (!CheckSample(context, 0, context->loaded, false, 2000, context->generation, &why))
    return context->Fail(row, why);
  context->Emit(result);
  return true;
}

namespace {

// So many entries fill most of the write buffer, and so of the log, whatever an engine's overhead
// per entry (kept below 64).
uint64_t KillCount(const Context& context) {
  const uint64_t fit =
      context.options().config.write_buffer_bytes / (context.options().set.record_bytes() + 64);
  return std::min(fit, context.options().set.entries);
}

}  // namespace

bool RowFillKill(Context* context, const std::string& row) {
  FillPlan plan;
  plan.count = KillCount(*context);
  if (!RunFill(context, row, plan)) return false;
  std::raise(SIGKILL);
  return false;
}

bool RowReopen(Context* context, const std::string& row) {
  context->loaded = KillCount(*context);
  Result result(row);
  const double user_mb =
      static_cast<double>(context->loaded * context->options().set.record_bytes()) * 1e-6;
  result.Set("seconds", context->open_seconds);
  result.Set("open_ms", context->open_seconds * 1e3);
  result.Set("replayed_mb", user_mb);
  result.Set("replay_mb_s", user_mb / context->open_seconds);
  result.Set("rss_mb", static_cast<double>(PeakRssBytes()) * 1e-6);
  std::string why;
  if (!CheckSample(context, 0, context->loaded, false, context->loaded, 1, &why))
    return context->Fail(row, "after a kill: " + why);
  EntryCheck check(&context->workload());
  check.BeginSum();
  std::unique_ptr<Session> session = context->driver()->NewSession();
  if (!session->Scan(true, &check)) return context->Fail(row, session->error());
  if (!check.ok() || check.count() != context->loaded) {
    return context->Fail(row, "after a kill " + std::to_string(check.count()) + " entries of " +
                                  std::to_string(context->loaded));
  }
  context->Emit(result);
  return true;
}

}  // namespace kist::bench
