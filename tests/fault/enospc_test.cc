// No space: every Nth call that takes some fails with ENOSPC, EDQUOT or EFBIG, once and until space
// is back (promise G6). What was refused is not visible, not after a kill and not after a power
// cut; reads go on; once there is space writes work without reopening; the flush heals by itself.
#include <signal.h>
#include <sys/resource.h>

#include <functional>

#include "support/fault_run.h"

namespace kist::test {
namespace {

constexpr Durability kSync = Durability::kSync;
constexpr Durability kOs = Durability::kOs;

bool Quick() { return std::getenv("KIST_TEST_QUICK") != nullptr; }

std::string K(uint64_t i) { return "key" + std::to_string(100 + i); }
std::string V(uint64_t i, size_t n) {
  return std::to_string(i) + std::string(n, static_cast<char>('a' + i % 26));
}

using Step = std::function<Status(FaultRun*)>;

std::vector<Step> Steps() {
  std::vector<Step> steps;
  const auto put = [&](uint64_t i, size_t bytes, Durability d) {
    steps.push_back([=](FaultRun* r) { return r->Put("default", K(i % 5), V(i, bytes), d); });
  };
  for (uint64_t i = 0; i < 4; ++i) put(i, 40, i % 2 == 0 ? kSync : kOs);
  put(4, 40, Durability::kBuffered);
  put(5, 40, kOs);
  steps.push_back([](FaultRun* r) { return r->CreateKeyspace("one"); });
  steps.push_back([](FaultRun* r) {
    return r->Batch({{Change::kPut, "default", K(1), "x"}, {Change::kDelete, "default", K(2), ""}},
                    kOs);
  });
  steps.push_back([](FaultRun* r) { return r->Flush(); });
  for (uint64_t i = 6; i < 10; ++i) put(i, 30000, i % 2 == 0 ? kOs : kSync);
  steps.push_back([](FaultRun* r) { return r->DeleteRange("default", K(1), K(3), kSync); });
  steps.push_back([](FaultRun* r) { return r->Flush(); });
  steps.push_back([](FaultRun* r) { return r->Compact(); });
  put(10, 40, kSync);
  steps.push_back([](FaultRun* r) { return r->ChangeKeyspace("one", "default_ttl=100h"); });
  steps.push_back([](FaultRun* r) {
    return r->Transaction(
        {{Change::kPut, "default", K(3), "z"}, {Change::kDelete, "default", K(0), ""}}, kOs);
  });
  steps.push_back([](FaultRun* r) { return r->DropKeyspace("one"); });
  steps.push_back([](FaultRun* r) { return r->CreateKeyspace("one"); });
  steps.push_back([](FaultRun* r) { return r->Sync(); });
  return steps;
}

// The first call that must work again once space is back; a flush may still be on its way.
void Heals(FaultRun* run) {
  Status s = Patiently([&] { return run->Put("default", "healed", "yes", kSync); });
  if (!s.ok()) run->Wrong("does not take writes again: " + s.ToString());
  if (!(s = run->db()->WaitIdle(5000)).ok())
    run->Wrong("background work does not heal: " + s.ToString());
  s = Patiently([&] { return run->Flush(); });
  if (!s.ok()) run->Wrong("does not flush again: " + s.ToString());
}

bool SpaceRun(int error, uint64_t n, bool for_ever, uint64_t partial, const char* options) {
  RecordingVfs base;
  FaultRun run(&base, options,
               "no space at " + std::to_string(n) + (for_ever ? " and later" : "") + ", errno " +
                   std::to_string(error) + ", partial " + std::to_string(partial) + ", " + options);
  Fault fault(kFaultSpace, n, error, for_ever);
  fault.partial_bytes = partial;
  run.faults()->Fail(fault);
  Status s = run.Open();
  if (!s.ok()) {
    if (!s.Is(Code::kNoSpace)) run.Wrong("open: " + s.ToString());
    run.faults()->Heal();
    if (!(s = run.Open()).ok()) run.Wrong("open with space again: " + s.ToString());
  }
  int judged = 0;
  for (const Step& step : Steps()) {
    s = step(&run);
    if (s.ok() || s.Is(run.Has("one") ? Code::kExists : Code::kMissing)) continue;
    if (run.poisoned() || !s.Is(Code::kNoSpace)) run.Wrong("told " + s.ToString());
    if (judged++ >= 2) continue;
    run.CheckVisible();
    MemoryVfs image(base.memory()->Image());
    run.CheckReopened(&image, false);
    run.CheckPowerCuts(&base, 3);
  }
  const bool hit = run.faults()->failures() != 0;
  run.faults()->Heal();
  Heals(&run);
  run.CheckVisible();
  if (!(s = run.Close()).ok()) run.Wrong("close: " + s.ToString());
  if (hit) run.CheckReopened(&base, false);
  return hit;
}

void enospc__every_call_once(void**) {
  uint64_t runs = 0;
  for (const int error : {ENOSPC, EDQUOT, EFBIG}) {
    if (Quick() && error != ENOSPC) continue;
    runs += FailEach([&](uint64_t n) {
      return SpaceRun(error, n, false, n % 3 == 0 ? 20 : 0,
                      n % 2 == 0 ? "" : "wal_preallocate=false");
    });
  }
  std::printf("no space once: %llu runs\n", static_cast<unsigned long long>(runs));
  assert_true(runs > 20);
}

void enospc__every_call_from_the_nth_on(void**) {
  uint64_t runs = FailEach([&](uint64_t n) { return SpaceRun(ENOSPC, n, true, 0, ""); });
  runs += FailEach([&](uint64_t n) {
    return SpaceRun(ENOSPC, n, true, 33, "compaction=manual; wal_preallocate=false");
  });
  std::printf("no space from then on: %llu runs\n", static_cast<unsigned long long>(runs));
  assert_true(runs > 20);
}

// Refused bytes that are there in full, although the call failed, are gone all the same.
void enospc__a_refused_record_that_was_written_is_absent(void**) {
  FailEach([&](uint64_t n) {
    return SpaceRun(ENOSPC, n, false, UINT64_MAX, "compaction=manual; wal_preallocate=false");
  });
}

// While tables find no space, writes go on until memory is full; they go on again by themselves.
void enospc__writes_go_on_until_memory_is_full(void**) {
  RecordingVfs base;
  FaultRun run(&base, "", "tables find no space");
  ASSERT_OK(run.Open());
  Fault fault(kFaultSpace, 1, ENOSPC, true);
  fault.path_contains = ".kst";
  run.faults()->Fail(fault);
  uint64_t taken = 0;
  Status s;
  for (; taken < 1000; ++taken) {
    if (!(s = run.Put("default", K(taken), V(taken, 8000), kOs)).ok()) break;
  }
  ASSERT_CODE(s, Code::kNoSpace);
  assert_true(taken >= 16);  // three memtables of 64 KiB
  run.CheckVisible();
  ASSERT_CODE(run.Flush(), Code::kNoSpace);
  run.faults()->Heal();
  ASSERT_OK(run.db()->WaitIdle(5000));
  ASSERT_OK(Patiently([&] { return run.Put("default", "healed", "yes", kSync); }));
  run.CheckVisible();
  ASSERT_OK(run.Close());
  run.CheckReopened(&base, false);
}

// The real thing: a process that may not make its files larger.
void enospc__a_limit_on_file_size(void**) {
  TempDir dir;
  struct rlimit before, low;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  OptionSet set;
  ASSERT_OK(set.Parse("memory_budget=64MiB; write_buffer_size=8MiB"));
  auto opened = Db::Open(dir.File("db"), set, LogSink(), nullptr);
  ASSERT_OK(opened);
  auto ks = (*opened)->DefaultKeyspace();
  low = before;
  low.rlim_cur = 2 << 20;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
  Status s;
  uint64_t taken = 0;
  for (; taken < 1000; ++taken) {
    s = (*opened)->Put(ks.get(), taken % 8 == 0 ? kSync : kOs, K(taken), V(taken, 20000), 0,
                       nullptr);
    if (!s.ok()) break;
  }
  ASSERT_CODE(s, Code::kNoSpace);
  assert_true(taken > 10);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_OK((*opened)->Put(ks.get(), kSync, "healed", "yes", 0, nullptr));
  ks = RefPtr<Keyspace>();
  ASSERT_OK((*opened)->Close());
  auto again = Db::Open(dir.File("db"), set, LogSink(), nullptr);
  ASSERT_OK(again);
  std::string error;
  Contents held = ReadAll(again->get(), &error);
  assert_string_equal(error.c_str(), "");
  assert_int_equal(held["default"].size(), taken + 1);
  ASSERT_OK((*again)->Close());
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(enospc__every_call_once),
      cmocka_unit_test(enospc__every_call_from_the_nth_on),
      cmocka_unit_test(enospc__a_refused_record_that_was_written_is_absent),
      cmocka_unit_test(enospc__writes_go_on_until_memory_is_full),
      cmocka_unit_test(enospc__a_limit_on_file_size),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
