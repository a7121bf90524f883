// Rows that read and write at once: readwhilewriting and the six core workloads of YCSB.
//
// A byte per key number holds the generation of its newest acknowledged value (0: absent). One
// thread writes a given key, so a reader accepts exactly the generations between what it saw before
// and one beyond what it sees after its read.
#include <algorithm>
#include <atomic>
#include <thread>

#include "context.h"

namespace kist::bench {

namespace {

using Generations = std::vector<uint8_t>;

uint8_t Acquire(const Generations& g, uint64_t number) {
  return __atomic_load_n(&g[number], __ATOMIC_ACQUIRE);
}
void Release(Generations* g, uint64_t number, uint8_t v) {
  __atomic_store_n(&(*g)[number], v, __ATOMIC_RELEASE);
}
uint8_t After(uint8_t generation) {
  return generation == 255 ? 1 : static_cast<uint8_t>(generation + 1);
}

Generations* Loaded(Context* context) {
  Generations& g = context->generations;
  if (g.empty()) {
    g.resize(2 * context->workload().set().entries, 0);
    for (size_t i = 0; i < g.size(); i += 2) g[i] = context->generation;
  }
  return &g;
}

// One session's reads and writes with their checks. Errors stick in `error`.
struct Actor {
  Actor(const Workload& w, Session* s, Generations* g)
      : workload(w), session(s), generations(g), value(w.set().value_bytes, '\0'), check(&w) {}

  bool Put(uint64_t number) {
    const uint8_t next = After(Acquire(*generations, number));
    workload.Value(number, next, value.data());
    if (!session->Put(workload.KeyView(number, key), value)) return Lost(session->error());
    Release(generations, number, next);
    return true;
  }
  bool Read(uint64_t number, bool whole) {
    uint8_t low = Acquire(*generations, number);
    std::string_view got;
    const Found found = session->Get(workload.KeyView(number, key), &got);
    if (found == Found::kError) return Lost(session->error());
    const uint8_t high = After(Acquire(*generations, number));
    if (found == Found::kYes) {
      for (;; low = After(low)) {
        if (workload.ValueIs(got, number, low, whole)) return true;
        if (low == high) break;
      }
    }
    return Lost("a wrong answer for key number " + std::to_string(number));
  }
  bool Range(uint64_t number, size_t count) {
    check.BeginExact(number, generations);
    if (!session->SeekScan(workload.KeyView(number, key), count, &check))
      return Lost(session->error());
    return check.ok() || Lost(check.why());
  }
  bool Lost(const std::string& why) {
    error = why;
    return false;
  }
  const Workload& workload;
  Session* session;
  Generations* generations;
  std::string value;
  EntryCheck check;
  char key[kKeyBytes];
  std::string error;
};

constexpr uint64_t kWritesPerSecond = 50000;

// Fifty puts, then sleep to the next millisecond: 50,000 a second where the engine can.
void WriteBeside(const Context* context, Session* session, Generations* g,
                 const std::atomic<bool>* stop, Actor** failed, uint64_t* done) {
  static thread_local std::unique_ptr<Actor> actor;
  actor = std::make_unique<Actor>(context->workload(), session, g);
  Random random(context->options().seed + 17);
  uint64_t due = NowNs();
  while (!stop->load(std::memory_order_relaxed)) {
    for (uint64_t i = 0; i < kWritesPerSecond / 1000; ++i, ++*done) {
      if (actor->Put(2 * random.Below(context->workload().set().entries))) continue;
      *failed = actor.release();
      return;
    }
    due = std::max(due + 1000000, NowNs() - 20000000);  // at most 20 ms are caught up
    SleepUntilNs(due);
  }
}

}  // namespace

bool RowReadWhileWriting(Context* context, const std::string& row) {
  Generations* generations = Loaded(context);
  std::unique_ptr<Session> reader = context->driver()->NewSession();
  std::unique_ptr<Session> writer = context->driver()->NewSession();
  if (reader == nullptr || writer == nullptr) return context->Fail(row, context->driver()->error());
  Actor actor(context->workload(), reader.get(), generations);
  Random random(context->options().seed + 23);
  const uint64_t n = context->workload().set().entries;
  for (uint64_t i = 0; i < n; ++i) {
    if (!actor.Read(2 * i, (i & 63) == 0)) return context->Fail(row, actor.error);
  }
  std::atomic<bool> stop{false};
  Actor* failed = nullptr;
  uint64_t written = 0;
  Histogram latencies;
  Result result(row);
  std::thread beside(WriteBeside, context, writer.get(), generations, &stop, &failed, &written);
  SleepUntilNs(NowNs() + 200000000);
  const Phase phase;
  const uint64_t written_before = __atomic_load_n(&written, __ATOMIC_RELAXED);
  const uint64_t deadline =
      phase.begin().ns + static_cast<uint64_t>(context->options().seconds * 1e9);
  uint64_t last = Ticks();
  uint64_t i = 0;
  for (; (i & 63) != 0 || NowNs() < deadline; ++i) {
    if (!actor.Read(2 * random.Below(n), (i & 15) == 0)) break;
    const uint64_t now = Ticks();
    latencies.Add(now - last);
    last = now;
  }
  phase.Finish(i, &result);
  const double writes =
      static_cast<double>(__atomic_load_n(&written, __ATOMIC_RELAXED) - written_before);
  result.Set("writes_s", writes / (static_cast<double>(NowNs() - phase.begin().ns) * 1e-9));
  stop.store(true);
  beside.join();
  if (failed != nullptr) return context->Fail(row, "the writer: " + failed->error);
  if (!actor.error.empty()) return context->Fail(row, actor.error);
  result.SetLatencies(latencies);
  context->Emit(result);
  return true;
}

namespace {

struct Mix100 {
  int read, update, insert, scan, modify;  // per cent
  bool latest;
};

Mix100 YcsbMix(char letter) {
  switch (letter) {
    case 'a':
      return {50, 50, 0, 0, 0, false};
    case 'b':
      return {95, 5, 0, 0, 0, false};
    case 'c':
      return {100, 0, 0, 0, 0, false};
    case 'd':
      return {95, 0, 5, 0, 0, true};
    case 'e':
      return {0, 0, 5, 95, 0, false};
    default:
      return {50, 0, 0, 0, 50, false};
  }
}

// The number of the j-th inserted entry: the loaded ones first, then odd numbers in another random
// order.
struct InsertOrder {
  explicit InsertOrder(const Context& c)
      : n(c.workload().set().entries),
        loaded(n, c.options().seed),
        added(n, c.options().seed + 1) {}
  uint64_t Number(uint64_t j) const { return j < n ? 2 * loaded.At(j) : 2 * added.At(j - n) + 1; }
  uint64_t n;
  Permutation loaded, added;
};

// What the rows share within one process: inserts of one are there for the next.
struct YcsbState {
  explicit YcsbState(const Context& c) : order(c), count(order.n) {
    ranks = ZipfRanks(order.n, size_t{1} << 20, c.options().seed + 5);
  }
  InsertOrder order;
  uint64_t count;
  std::vector<uint32_t> ranks;
};

bool YcsbStep(const Mix100& mix, YcsbState* state, Random* random, uint32_t rank, Actor* actor) {
  const uint64_t r = random->Next();
  const int dice = static_cast<int>((r >> 40) % 100);
  if (dice < mix.insert) {
    return actor->Put(state->order.Number(state->count++));
  }
  const uint64_t number =
      state->order.Number(mix.latest ? state->count - 1 - rank % state->count : rank);
  const bool whole = (r & 15) == 0;
  if (dice < mix.insert + mix.read) return actor->Read(number, whole);
  if (dice < mix.insert + mix.read + mix.update) return actor->Put(number);
  if (mix.scan > 0) return actor->Range(number, 1 + (r & 0xffff) % 100);
  return actor->Read(number, whole) && actor->Put(number);
}

}  // namespace

bool RowYcsb(Context* context, const std::string& row) {
  static std::unique_ptr<YcsbState> state;  // one worker process, one database
  if (state == nullptr) state = std::make_unique<YcsbState>(*context);
  const Mix100 mix = YcsbMix(row.back());
  std::unique_ptr<Session> session = context->driver()->NewSession();
  if (session == nullptr) return context->Fail(row, context->driver()->error());
  Actor actor(context->workload(), session.get(), Loaded(context));
  Random random(context->options().seed + static_cast<uint64_t>(row.back()));
  const size_t mask = state->ranks.size() - 1;
  Histogram latencies;
  Result result(row);
  const double seconds = context->options().seconds;
  // Warm-up and row; each ends early where it has inserted as many keys. There are n more for all.
  const double lengths[2] = {std::max(0.3, seconds / 5), seconds};
  const uint64_t n = state->order.n, inserts[2] = {n / 8, n / 2 - n / 8};
  uint64_t at = 0;
  for (int pass = 0; pass < 2; ++pass) {
    latencies.Clear();
    const Phase phase;
    const uint64_t deadline = phase.begin().ns + static_cast<uint64_t>(lengths[pass] * 1e9);
    uint64_t last = Ticks();
    uint64_t done = 0;
    const uint64_t most = state->count + inserts[pass];
    for (; state->count < most && ((done & 63) != 0 || NowNs() < deadline); ++done) {
      if (!YcsbStep(mix, state.get(), &random, state->ranks[at++ & mask], &actor))
        return context->Fail(row, actor.error);
      const uint64_t now = Ticks();
      latencies.Add(now - last);
      last = now;
    }
    if (pass == 1) phase.Finish(done, &result);
  }
  result.SetLatencies(latencies);
  context->Emit(result);
  return true;
}

}  // namespace kist::bench
