// The reading rows, on a database that nothing writes to.
//
// A rate pass without any clock in the loop (one check of the deadline every 256 operations), then
// a shorter pass with one tick read per operation for the latencies. Every answer is checked:
// length, stamp and last bytes always, each byte in every sixteenth.
#include <algorithm>
#include <atomic>
#include <thread>

#include "context.h"

namespace kist::bench {

namespace {

enum class Pick { kUniform, kMissing, kHot };

struct ReadThread {
  Histogram latencies;
  uint64_t done = 0;
  std::string error;
};

uint64_t PickNumber(Pick pick, Random* random, uint64_t n) {
  switch (pick) {
    case Pick::kUniform:
      return 2 * random->Below(n);
    case Pick::kMissing:
      return 2 * random->Below(n) + 1;
    case Pick::kHot: {
      // One key in a hundred is hot, scattered over the whole range.
      const uint64_t r = random->Next();
      if ((r & 0xffff) >= 62259) return 2 * random->Below(n);
      const uint64_t hot = random->Below(std::max<uint64_t>(1, n / 100));
      return 2 * (hot * 100 + hot % 97);
    }
  }
  return 0;
}

template <bool kTimed>
void ReadFor(const Context& context, Pick pick, double seconds, uint64_t seed, Session* session,
             ReadThread* out) {
  const Workload& workload = context.workload();
  const uint64_t n = workload.set().entries;
  const uint8_t generation = context.generation;
  Random random(seed);
  char key[kKeyBytes];
  std::string_view value;
  const uint64_t deadline = NowNs() + static_cast<uint64_t>(seconds * 1e9);
  uint64_t last = Ticks();
  for (uint64_t i = 0;; ++i) {
    if ((i & 255) == 0 && NowNs() >= deadline) {
      out->done = i;
      return;
    }
    const uint64_t number = PickNumber(pick, &random, n);
    const Found found = session->Get(workload.KeyView(number, key), &value);
    bool right;
    if (pick == Pick::kMissing) {
      right = found == Found::kNo;
    } else {
      right = found == Found::kYes && workload.ValueIs(value, number, generation, (i & 15) == 0);
    }
    if (!right) {
      out->error = found == Found::kError
                       ? session->error()
                       : "a wrong answer for key number " + std::to_string(number);
      return;
    }
    if (kTimed) {
      const uint64_t now = Ticks();
      out->latencies.Add(now - last);
      last = now;
    }
  }
}

bool ReadPass(Context* context, const std::string& row, Pick pick, unsigned threads, bool timed,
              double seconds, std::vector<std::unique_ptr<Session>>* sessions,
              std::vector<ReadThread>* results) {
  std::vector<std::thread> running;
  for (unsigned t = 0; t < threads; ++t) {
    (*results)[t].done = 0;
    auto work = [=] {
      const auto run = timed ? ReadFor<true> : ReadFor<false>;
      run(*context, pick, seconds, context->options().seed + 31 * t + (timed ? 7 : 0),
          (*sessions)[t].get(), &(*results)[t]);
    };
    if (threads == 1) {
      work();
    } else {
      running.emplace_back(work);
    }
  }
  for (std::thread& t : running) t.join();
  for (ReadThread& r : *results) {
    if (!r.error.empty()) return context->Fail(row, r.error);
  }
  return true;
}

// Everything is read once, then random reads for a tenth of a row, so that caches are what they
// will be.
bool WarmReads(Context* context, const std::string& row, Pick pick, Session* session) {
  if (pick != Pick::kMissing) {
    EntryCheck check(&context->workload());
    check.BeginSum();
    if (!session->Scan(true, &check)) return context->Fail(row, session->error());
    if (!check.ok() || check.count() != context->loaded) {
      return context->Fail(row, "the warm-up scan saw " + std::to_string(check.count()) +
                                    " entries. " + check.why());
    }
  }
  ReadThread ignored;
  const double seconds = std::max(0.2, context->options().seconds / 10);
  const uint64_t n = context->loaded;
  // A key range that does not fit the cache wants each block touched by point reads, not by a scan
  // that may bypass it.
  const double more = static_cast<double>(std::min<uint64_t>(n, 2000000)) * 2e-6;
  ReadFor<false>(*context, pick, std::max(seconds, more), 5, session, &ignored);
  return ignored.error.empty() || context->Fail(row, ignored.error);
}

}  // namespace

bool RowRead(Context* context, const std::string& row) {
  const Pick pick = row.find("missing") != std::string::npos ? Pick::kMissing
                    : row.find("hot") != std::string::npos   ? Pick::kHot
                                                             : Pick::kUniform;
  const unsigned threads = row.find("_2t") != std::string::npos ? 2 : 1;
  std::vector<std::unique_ptr<Session>> sessions;
  for (unsigned t = 0; t < threads; ++t) {
    sessions.push_back(context->driver()->NewSession());
    if (sessions.back() == nullptr) return context->Fail(row, context->driver()->error());
    sessions.back()->StaticReads(true);
  }
  if (!WarmReads(context, row, pick, sessions[0].get())) return false;

  std::vector<ReadThread> results(threads);
  const double seconds = context->options().seconds;
  const Phase phase;
  if (!ReadPass(context, row, pick, threads, false, seconds, &sessions, &results)) return false;
  Result result(row);
  uint64_t done = 0;
  for (const ReadThread& r : results) done += r.done;
  phase.Finish(done, &result);
  if (!ReadPass(context, row, pick, threads, true, std::max(0.3, seconds / 4), &sessions, &results))
    return false;
  Histogram latencies;
  for (const ReadThread& r : results) latencies.Merge(r.latencies);
  result.SetLatencies(latencies);
  for (auto& session : sessions) session->StaticReads(false);
  context->Emit(result);
  return true;
}

}  // namespace kist::bench
