// The matrix of failures: every class of call of the Vfs with every errno that it can give, at
// every place, once and for ever, healed in the middle and not; syncs with their data kept and lost
// (promises G5, G6, G20). Each call is met by some errno and each errno meets calls of every class;
// KIST_FAULT_FULL=1 has every pair. A run ends with the database opened again, in the state that
// its commits had been told (support/fault_run.h).
#include <functional>

#include "support/fault_run.h"

namespace kist::test {
namespace {

constexpr Durability kSync = Durability::kSync;
constexpr Durability kOs = Durability::kOs;

const int kErrors[] = {EIO,    ENOSPC,    EDQUOT, EACCES, EPERM,      EROFS,
                       EMFILE, ENFILE,    EINTR,  EAGAIN, EFBIG,      ENOMEM,
                       ESTALE, ETIMEDOUT, ENXIO,  EBADF,  EOPNOTSUPP, ENOTCONN};

bool Environment(const char* name) { return std::getenv(name) != nullptr; }

std::string K(uint64_t i) { return "key" + std::to_string(100 + i); }
std::string V(uint64_t i, size_t n) {
  return std::to_string(i) + "-" + std::string(n, static_cast<char>('a' + i % 26));
}

using Step = std::function<Status(FaultRun*)>;

std::vector<Step> Steps() {
  std::vector<Step> steps;
  const auto put = [&](uint64_t i, size_t bytes, Durability d) {
    steps.push_back([=](FaultRun* r) { return r->Put("default", K(i % 5), V(i, bytes), d); });
  };
  put(0, 30, kSync);
  put(1, 30, kOs);
  steps.push_back([](FaultRun* r) { return r->CreateKeyspace("one"); });
  steps.push_back([](FaultRun* r) {
    return r->Batch({{Change::kPut, "default", K(1), "x"}, {Change::kPut, "one", K(2), "y"}}, kOs);
  });
  steps.push_back([](FaultRun* r) { return r->Flush(); });
  put(2, 400, Durability::kBuffered);
  steps.push_back([](FaultRun* r) { return r->DeleteRange("default", K(1), K(3), kSync); });
  put(3, 40000, kOs);
  steps.push_back([](FaultRun* r) { return r->Flush(); });
  steps.push_back([](FaultRun* r) { return r->Compact(); });
  put(4, 40000, kSync);
  steps.push_back([](FaultRun* r) { return r->ChangeKeyspace("one", "default_ttl=100h"); });
  steps.push_back([](FaultRun* r) { return r->DropKeyspace("one"); });
  steps.push_back([](FaultRun* r) { return r->CreateKeyspace("one"); });
  steps.push_back([](FaultRun* r) {
    return r->Transaction(
        {{Change::kPut, "one", K(3), "z"}, {Change::kDelete, "default", K(0), ""}}, kOs);
  });
  steps.push_back([](FaultRun* r) { return r->Sync(); });
  return steps;
}

// What an error may be called. What says damage or a mistake of ours it may not.
void Judge(FaultRun* run, const Status& s, const char* doing) {
  if (s.Is(Code::kCorrupt) || s.Is(Code::kInternal) || s.Is(Code::kInvalid))
    run->Wrong(std::string(doing) + ": " + s.ToString());
}

// Opened and worked on twice; with `heals` the fault ends in the middle of the first round.
bool Run(const Fault& fault, bool heals, const char* options) {
  RecordingVfs base;
  FaultRun run(&base, options,
               "calls " + std::to_string(fault.calls) + ", " + std::to_string(fault.nth) +
                   (fault.for_ever ? " and later" : "") + (heals ? ", healed" : "") +
                   (fault.data_lost ? ", data lost" : "") + (fault.done ? ", done" : "") +
                   ", errno " + std::to_string(fault.error) + ", " + options);
  run.faults()->Fail(fault);
  for (int round = 0; round < 2; ++round) {
    Status s = run.Open();
    Judge(&run, s, "open");
    if (!s.ok()) {
      if (!heals) continue;
      run.faults()->Heal();
      s = run.Open();
      if (!s.ok()) run.Wrong("open, healed: " + s.ToString());
    }
    for (const Step& step : Steps()) {
      s = step(&run);
      Judge(&run, s, "a step");
      if (run.poisoned()) break;
      if (s.ok() || s.Is(Code::kExists) || !heals) continue;
      run.faults()->Heal();
      s = Patiently([&] { return step(&run); });
      if (!s.ok() && !s.Is(Code::kExists) && !run.poisoned())
        run.Wrong("a step, healed: " + s.ToString());
    }
    run.faults()->Heal();
    if (run.poisoned()) run.CheckPoisoned();
    run.CheckVisible();
    if (run.faults()->failures() == 0) run.faults()->Fail(fault);
    s = run.Close();
    Judge(&run, s, "close");
  }
  const bool hit = run.faults()->failures() != 0;
  run.faults()->Heal();
  if (hit) {
    run.CheckPowerCuts(&base, 2);
    run.CheckReopened(&base, fault.data_lost);
  }
  return hit;
}

// Of the calls of a class the Nth fails, for each N; the errnos take turns, and how it fails with
// them.
uint64_t Matrix(const char* name, uint32_t calls, bool may_lose) {
  const size_t errors = std::size(kErrors);
  const bool full = Environment("KIST_FAULT_FULL");
  const bool quick = Environment("KIST_TEST_QUICK");
  uint64_t runs = 0;
  for (size_t turn = 0; turn < (full ? errors * 4 : quick ? 1 : 2); ++turn) {
    runs += FailEach([&](uint64_t n) {
      const uint64_t pick = full ? turn : n - 1 + turn * (errors / 2);
      const int how = static_cast<int>(full ? turn / errors : n / errors + n + turn) % 4;
      Fault fault(calls, n, kErrors[pick % errors], (how & 1) != 0);
      fault.data_lost = may_lose && (n + turn) % 3 == 0;
      return Run(fault, (how & 2) != 0,
                 n % 2 == 0 ? "" : "compaction=manual; wal_preallocate=false");
    });
  }
  // Each errno where most goes on: at the first call after the open, and at the first of all.
  for (size_t i = 0; i < errors && !full && !quick; ++i) {
    for (const uint64_t n : {uint64_t{1}, 2 + i})
      runs += Run(Fault(calls, n, kErrors[i], i % 2 == 0), i % 4 < 2, "");
  }
  std::printf("%s: %llu runs\n", name, static_cast<unsigned long long>(runs));
  return runs;
}

// A call that says that it failed and did what it was asked for, as over a network: nobody who
// is told of a failure may count on the old state.
void errno__done_all_the_same(void**) {
  const bool quick = Environment("KIST_TEST_QUICK");
  uint64_t runs = 0;
  for (const uint32_t calls : {kFaultRename, kFaultCreate, kFaultRemove, kFaultTruncate,
                               kFaultPreallocate, kFaultMakeDir}) {
    for (const int how : {0, 1, 2, 3}) {
      if (quick && how != 2) continue;
      runs += FailEach([&](uint64_t n) {
        Fault fault(calls, n, n % 3 == 0 ? ENOSPC : EIO, (how & 1) != 0);
        fault.done = true;
        return Run(fault, (how & 2) != 0, n % 2 == 0 ? "" : "compaction=manual");
      });
    }
  }
  std::printf("done all the same: %llu runs\n", static_cast<unsigned long long>(runs));
  assert_true(runs > 10);
}

void errno__read(void**) { assert_true(Matrix("read", kFaultRead, false) > 5); }
void errno__write(void**) { assert_true(Matrix("write", kFaultWrite, false) > 20); }
void errno__sync(void**) { assert_true(Matrix("sync", kFaultSync, true) > 10); }
void errno__sync_directory(void**) { assert_true(Matrix("sync dir", kFaultSyncDir, true) > 5); }
void errno__truncate(void**) { Matrix("truncate", kFaultTruncate, false); }
void errno__preallocate(void**) {
  assert_true(Matrix("preallocate", kFaultPreallocate, false) > 0);
}
void errno__open(void**) { assert_true(Matrix("open", kFaultOpen, false) > 3); }
void errno__create(void**) { assert_true(Matrix("create", kFaultCreate, false) > 3); }
void errno__rename(void**) { assert_true(Matrix("rename", kFaultRename, false) > 0); }
void errno__remove(void**) { assert_true(Matrix("remove", kFaultRemove, false) > 0); }
void errno__make_directory(void**) { assert_true(Matrix("mkdir", kFaultMakeDir, false) > 0); }
void errno__list(void**) { assert_true(Matrix("list, stat", kFaultList, false) > 1); }
void errno__lock(void**) { assert_true(Matrix("lock", kFaultLock, false) > 0); }
void errno__thread(void**) { assert_true(Matrix("thread", kFaultThread, false) > 0); }
void errno__size(void**) { assert_true(Matrix("size", kFaultSize, false) > 0); }

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(errno__read),           cmocka_unit_test(errno__write),
      cmocka_unit_test(errno__sync),           cmocka_unit_test(errno__sync_directory),
      cmocka_unit_test(errno__truncate),       cmocka_unit_test(errno__preallocate),
      cmocka_unit_test(errno__open),           cmocka_unit_test(errno__create),
      cmocka_unit_test(errno__rename),         cmocka_unit_test(errno__remove),
      cmocka_unit_test(errno__make_directory), cmocka_unit_test(errno__list),
      cmocka_unit_test(errno__lock),           cmocka_unit_test(errno__thread),
      cmocka_unit_test(errno__size),           cmocka_unit_test(errno__done_all_the_same),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
