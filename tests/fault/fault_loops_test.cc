// Fault loops through the whole engine: every Nth sync, write and other call fails, once and for
// ever (promises G5, G9, G20). Each run ends with the database opened again and judged by what its
// commits had been told (support/fault_run.h). KIST_FAULT_CALLS=1 shows the calls of a wrong run.
#include <atomic>
#include <functional>
#include <thread>

#include "support/fault_run.h"

namespace kist::test {
namespace {

constexpr Durability kSync = Durability::kSync;
constexpr Durability kOs = Durability::kOs;

bool Quick() { return std::getenv("KIST_TEST_QUICK") != nullptr; }

std::string K(uint64_t i) { return "key" + std::to_string(100 + i); }
std::string V(uint64_t i, size_t n = 30) {
  std::string v = "value" + std::to_string(i) + "-";
  while (v.size() < n) v += static_cast<char>('a' + (i + v.size()) % 26);
  return v;
}

using Step = std::function<Status(FaultRun*)>;

// What every loop fails: a little of all that a database does.
std::vector<Step> Steps() {
  std::vector<Step> steps;
  const auto puts = [&](uint64_t from, uint64_t to, size_t bytes) {
    for (uint64_t i = from; i < to; ++i) {
      steps.push_back([=](FaultRun* r) {
        return r->Put("default", K(i % 7), V(i, bytes), i % 3 == 0 ? kSync : kOs);
      });
    }
  };
  const auto flush = [&] { steps.push_back([](FaultRun* r) { return r->Flush(); }); };
  puts(0, 5, 30);
  steps.push_back([](FaultRun* r) { return r->CreateKeyspace("one"); });
  steps.push_back([](FaultRun* r) {
    return r->Batch({{Change::kPut, "default", K(1), V(50)}, {Change::kPut, "one", K(2), V(51)}},
                    kSync);
  });
  flush();
  puts(5, 8, 300);
  steps.push_back([](FaultRun* r) { return r->Delete("default", K(2), kSync); });
  steps.push_back([](FaultRun* r) { return r->DeleteRange("default", K(3), K(5), kOs); });
  flush();
  steps.push_back([](FaultRun* r) { return r->Compact(); });
  steps.push_back([](FaultRun* r) { return r->Put("one", K(1), V(60, 70000), kOs); });
  steps.push_back([](FaultRun* r) { return r->Put("one", K(2), V(61, 70000), kSync); });
  puts(8, 11, 30);
  steps.push_back([](FaultRun* r) { return r->Sync(); });
  steps.push_back([](FaultRun* r) { return r->ChangeKeyspace("one", "default_ttl=100h"); });
  steps.push_back([](FaultRun* r) {
    return r->Transaction(
        {{Change::kPut, "one", K(3), V(70)}, {Change::kDelete, "default", K(1), ""}}, kOs);
  });
  flush();
  steps.push_back([](FaultRun* r) { return r->DropKeyspace("one"); });
  steps.push_back([](FaultRun* r) { return r->CreateKeyspace("one"); });
  steps.push_back([](FaultRun* r) {
    return r->Transaction({{Change::kPut, "one", K(4), V(71)}}, kSync);
  });
  puts(11, 13, 30);
  return steps;
}

// Logs, manifests and tables that were lived on are not touched any more once the poison acted, and
// what failed to sync is not synced again.
void CheckCalls(FaultRun* run, size_t quiet_from) {
  const auto calls = run->watch()->calls();
  std::set<std::string> failed;
  for (const auto& c : calls) {
    if (c.what == 'c') failed.erase(c.path);
    if (c.what != 's' && c.what != 'D') continue;
    if (failed.count(c.path) != 0) run->Wrong(c.path + " is synced again after a failed sync");
    if (!c.ok) failed.insert(c.path);
  }
  for (size_t i = quiet_from; i < calls.size(); ++i) {
    run->Wrong(std::string("call ") + calls[i].what + " on " + calls[i].path + " after the poison");
  }
}

bool SyncRun(const std::string& options, uint64_t n, bool for_ever, bool lost, uint32_t calls) {
  RecordingVfs base;
  FaultRun run(&base, options,
               "sync " + std::to_string(n) + (for_ever ? " and later" : "") +
                   (lost ? ", data lost" : ", data kept") + ", class " + std::to_string(calls) +
                   ", " + options);
  Fault fault(calls, n, EIO, for_ever);
  fault.data_lost = lost;
  run.faults()->Fail(fault);
  Status s = run.Open();
  if (!s.ok() && !s.Is(Code::kIo)) run.Wrong("open: " + s.ToString());
  size_t quiet_from = SIZE_MAX;
  if (s.ok()) {
    for (const Step& step : Steps()) {
      s = step(&run);
      const bool poisoned = run.poisoned();
      if (!s.ok() && !poisoned) run.Wrong("not poisoned after " + s.ToString());
      if (!s.ok() && !s.Is(Code::kIo) && !s.Is(Code::kPoisoned)) run.Wrong(s.ToString());
      if (!s.ok()) break;
    }
    if (run.poisoned()) {
      run.CheckPoisoned();
      quiet_from = run.watch()->calls().size();
      run.CheckPoisoned();
    } else {
      run.CheckVisible();
    }
    s = run.Close();
    if (!s.ok() && !s.Is(Code::kIo) && !s.Is(Code::kPoisoned)) run.Wrong("close: " + s.ToString());
  }
  const bool hit = run.faults()->failures() != 0;
  CheckCalls(&run, quiet_from);
  if (hit || n == 1) {
    run.CheckPowerCuts(&base, 6);
    run.CheckReopened(&base, lost);  // what was only handed to the system is gone with lost pages
  }
  return hit;
}

void fault_loops__every_sync(void**) {
  const uint32_t calls = kFaultSync | kFaultSyncDir;
  uint64_t runs = 0;
  for (const char* options :
       {"", "compaction=manual; wal_preallocate=false", "log_retention=1MiB"}) {
    for (const int mode : {0, 1, 2, 3}) {
      if (Quick() && mode != 2) continue;
      runs += FailEach(
          [&](uint64_t n) { return SyncRun(options, n, (mode & 1) != 0, (mode & 2) != 0, calls); });
    }
  }
  std::printf("every sync: %llu runs\n", static_cast<unsigned long long>(runs));
  assert_true(runs > 40);
}

void fault_loops__every_directory_sync(void**) {
  uint64_t runs = 0;
  for (const int mode : {0, 1, 2, 3}) {
    runs += FailEach([&](uint64_t n) {
      return SyncRun("", n, (mode & 1) != 0, (mode & 2) != 0, kFaultSyncDir);
    });
  }
  assert_true(runs > 10);
}

// A disk that takes its time to sync, so that writers gather.
class SlowVfs : public WrapVfs {
 public:
  using WrapVfs::WrapVfs;
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    KIST_TRY_ASSIGN(auto file, base_->Open(path, mode));
    return std::unique_ptr<File>(std::make_unique<SlowFile>(std::move(file)));
  }

 private:
  struct SlowFile : WrapFile {
    using WrapFile::WrapFile;
    Status Sync() override {
      usleep(1500);
      return base_->Sync();
    }
  };
};

// Eight threads share syncs: whoever shared the failed one is told so, and no one else succeeds.
// Whether threads gather is the scheduler's: rounds go on until some have.
void fault_loops__a_group_fails_whole(void**) {
  uint64_t groups = 0;
  for (uint64_t round = 0; round < (Quick() ? 4 : 12) || (groups == 0 && round < 500); ++round) {
    const uint64_t n = 6 + 3 * round % 36;
    RecordingVfs base;
    SlowVfs slow(&base);
    FaultVfs faults(&slow, true);
    WatchDog("a group fails whole, sync " + std::to_string(n));
    OptionSet set;
    ASSERT_OK(set.Parse("memory_budget=4MiB"));
    auto opened = Db::Open(kFaultDir, set, LogSink(), &faults);
    ASSERT_OK(opened);
    Db* db = opened->get();
    auto ks = db->DefaultKeyspace();
    Fault fault(kFaultSync, n, EIO);
    fault.data_lost = n % 2 == 0;
    faults.Fail(fault);
    std::mutex mutex;
    std::map<std::string, Code> told;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 60; ++i) {
          const std::string key = std::to_string(t) + "/" + std::to_string(i);
          const Status s = db->Put(ks.get(), kSync, key, key, 0, nullptr);
          std::lock_guard<std::mutex> lock(mutex);
          told[key] = s.code();
          if (!s.ok()) return;
        }
      });
    }
    for (auto& t : threads) t.join();
    std::string error;
    Contents shown = ReadAll(db, &error);
    assert_string_equal(error.c_str(), "");
    uint64_t failed = 0;
    for (const auto& [key, code] : told) {
      assert_true(code == Code::kOk || code == Code::kIo || code == Code::kPoisoned);
      assert_int_equal(shown["default"].count(key), code == Code::kOk);
      failed += code == Code::kIo;
    }
    assert_true(failed >= 1);
    groups += failed > 1;
    ASSERT_CODE(opened->get()->Close(), Code::kPoisoned);
    ks = RefPtr<Keyspace>();
    auto again = Db::Open(kFaultDir, set, LogSink(), &base);
    ASSERT_OK(again);
    shown = ReadAll(again->get(), &error);
    assert_string_equal(error.c_str(), "");
    for (const auto& [key, code] : told) {
      if (code == Code::kOk) assert_int_equal(shown["default"].count(key), 1);
      if (code == Code::kPoisoned) assert_int_equal(shown["default"].count(key), 0);
    }
    ASSERT_OK((*again)->Close());
    alarm(0);
  }
  assert_true(groups > 0);
}

// Any other failing call: errors, never a crash, a hang or a wrong state; twice opened and closed.
bool AnyRun(const Fault& fault, const std::string& options) {
  RecordingVfs base;
  FaultRun run(&base, options,
               "calls " + std::to_string(fault.calls) + ", " + std::to_string(fault.nth) +
                   (fault.for_ever ? " and later" : "") + ", errno " + std::to_string(fault.error) +
                   ", partial " + std::to_string(fault.partial_bytes) + ", " + options);
  run.faults()->Fail(fault);
  for (int round = 0; round < 2; ++round) {
    Status s = run.Open();
    if (s.Is(Code::kCorrupt) || s.Is(Code::kInternal)) run.Wrong("open: " + s.ToString());
    if (!s.ok()) continue;
    for (const Step& step : Steps()) {
      s = step(&run);
      if (s.ok() || s.Is(Code::kExists)) continue;  // the second round's keyspace
      if (s.Is(Code::kCorrupt) || s.Is(Code::kInternal)) run.Wrong(s.ToString());
      if (round == 0) {
        MemoryVfs image(base.memory()->Image());
        run.CheckReopened(&image, false);
      }
      if (run.poisoned()) break;
    }
    run.faults()->Heal();  // what a read meets is not this test's matter
    if (run.poisoned()) run.CheckPoisoned();
    run.CheckVisible();
    if (run.faults()->failures() == 0) run.faults()->Fail(fault);
    s = run.Close();
    if (s.Is(Code::kCorrupt) || s.Is(Code::kInternal)) run.Wrong("close: " + s.ToString());
  }
  run.faults()->Heal();
  const bool hit = run.faults()->failures() != 0;
  if (hit) run.CheckReopened(&base, false);
  return hit;
}

uint64_t AnyLoop(uint32_t calls, int error, uint64_t partial, const char* options) {
  uint64_t runs = 0;
  for (const bool for_ever : {false, true}) {
    runs += FailEach([&](uint64_t n) {
      Fault fault(calls, n, error, for_ever);
      fault.partial_bytes = partial;
      return AnyRun(fault, options);
    });
  }
  return runs;
}

void fault_loops__every_write(void**) {
  uint64_t runs = AnyLoop(kFaultWrite, EIO, 0, "");
  if (!Quick()) {
    for (const uint64_t partial : {1, 39, 600}) {
      runs += AnyLoop(kFaultWrite, EIO, partial, "compaction=manual; wal_preallocate=false");
    }
  }
  std::printf("every write: %llu runs\n", static_cast<unsigned long long>(runs));
}

// The bytes of the Nth write are all there although it failed; cutting them off fails too, or is
// not durable. Where the database is not poisoned it goes on.
bool WrittenRun(uint64_t n, int error, bool cut) {
  RecordingVfs base;
  FaultRun run(&base, "compaction=manual",
               "write " + std::to_string(n) + ", errno " + std::to_string(error) +
                   (cut ? "" : " and truncate"));
  Fault fault(kFaultWrite, n, error);
  fault.partial_bytes = UINT64_MAX;
  run.faults()->Fail(fault);
  if (!cut) run.faults()->Fail(Fault(kFaultTruncate, 1, EIO, true));
  Status s = run.Open();
  if (s.ok()) {
    for (const Step& step : Steps()) {
      static_cast<void>(step(&run));
      if (run.poisoned()) break;
    }
    if (run.poisoned()) {
      run.CheckPoisoned();
    } else {
      run.CheckVisible();
    }
    static_cast<void>(run.Close());
  }
  const bool hit = run.faults()->Count(kFaultWrite) >= n;
  run.faults()->Heal();
  run.CheckPowerCuts(&base, 8);
  run.CheckReopened(&base, false);
  return hit;
}

void fault_loops__every_failed_write_that_cannot_be_undone(void**) {
  for (const int error : {EIO, ENOSPC}) {
    for (const bool cut : {false, true}) {
      if (Quick() && cut) continue;
      FailEach([&](uint64_t n) { return WrittenRun(n, error, cut); });
    }
  }
}

void fault_loops__every_other_call(void**) {
  const struct {
    uint32_t calls;
    int error;
  } kCases[] = {
      {kFaultOpen | kFaultCreate, EMFILE},
      {kFaultRename, EIO},
      {kFaultRemove, EIO},
      {kFaultTruncate, EIO},
      {kFaultList, EIO},
      {kFaultPreallocate, EOPNOTSUPP},
      {kFaultPreallocate, EINTR},
      {kFaultLock, EIO},
      {kFaultThread, EAGAIN},
      {kFaultMakeDir, EIO},
      {kFaultOpen, EACCES},
  };
  uint64_t runs = 0;
  for (const auto& c : kCases) runs += AnyLoop(c.calls, c.error, 0, "");
  std::printf("every other call: %llu runs\n", static_cast<unsigned long long>(runs));
  assert_true(runs > 50);
}

// Nothing was tried, so nothing is in doubt: an error of the call, and the next one works.
void fault_loops__no_descriptor_for_a_directory(void**) {
  for (const int error : {EMFILE, ENFILE}) {
    RecordingVfs base;
    FaultRun run(&base, "compaction=manual", "no descriptor " + std::to_string(error));
    ASSERT_OK(run.Open());
    ASSERT_OK(run.Put("default", "a", "1", kSync));
    run.faults()->Fail(Fault(kFaultSyncDir, 1, error, true));
    assert_false(run.Flush().ok());
    assert_false(run.poisoned());
    run.faults()->Heal();
    ASSERT_OK(run.Flush());
    ASSERT_OK(run.Put("default", "b", "2", kSync));
    run.CheckVisible();
    ASSERT_OK(run.Close());
    run.CheckReopened(&base, false);
  }
}

// Large keys make large edits: the manifest is rolled over.
void fault_loops__every_call_of_a_manifest_roll(void**) {
  const auto roll = [](FaultRun* run) -> Status {
    for (uint64_t i = 0; i < 12; ++i) {
      KIST_TRY(run->Put("default", std::string(60000, static_cast<char>('a' + i)), V(i), kSync));
      KIST_TRY(run->Flush());
    }
    return Status();
  };
  const auto around = [&](uint32_t calls, uint64_t n, const std::string& where, int error) {
    RecordingVfs base;
    FaultRun run(&base, "compaction=manual; memory_budget=16MiB; write_buffer_size=1MiB",
                 "manifest roll, " + std::to_string(calls) + ", " + std::to_string(n) + where);
    ASSERT_OK(run.Open());
    Fault fault(calls, n, error);
    fault.path_contains = where;
    run.faults()->Fail(fault);
    const Status s = roll(&run);
    const bool hit = run.faults()->failures() != 0;
    // CURRENT is as it was, and the old manifest goes on.
    const bool lacks = (error == EMFILE || error == ENOMEM) && calls == kFaultCreate;
    if (s.Is(Code::kNoSpace) || lacks) {
      if (run.poisoned()) run.Wrong("poisoned by " + s.ToString());
      const Status again = Patiently([&] { return roll(&run); });
      if (!again.ok()) run.Wrong("does not heal: " + again.ToString());
    }
    if (run.poisoned()) run.CheckPoisoned();
    run.CheckVisible();
    static_cast<void>(run.Close());
    run.faults()->Heal();
    run.CheckPowerCuts(&base, 2);
    run.CheckReopened(&base, false);
    return hit;
  };
  uint64_t runs = 0;
  for (const char* where : {"CURRENT", "MANIFEST"}) {
    const uint32_t every = kFaultWrite | kFaultSync | kFaultCreate | kFaultRename;
    runs += FailEach([&](uint64_t n) { return around(every, n, where, EIO); });
    runs += FailEach([&](uint64_t n) { return around(kFaultSpace, n, where, ENOSPC); });
    for (const int error : {EMFILE, ENOMEM})
      runs += FailEach([&](uint64_t n) { return around(kFaultCreate, n, where, error); });
  }
  std::printf("every call of a manifest roll: %llu runs\n", static_cast<unsigned long long>(runs));
}

// A read that fails is an error of that read: never the end, never a missing key.
void ReadRun(Vfs* base, const Contents& held, uint64_t n, bool for_ever, bool* hit) {
  FaultVfs faults(base);
  const std::string what = "read " + std::to_string(n) + (for_ever ? " and later" : "");
  WatchDog(what);
  OptionSet set;
  ASSERT_OK(set.Parse("memory_budget=4MiB; cache_size=0; compaction=manual"));
  faults.Fail(Fault(kFaultRead, n, EIO, for_ever));
  auto opened = Db::Open(kFaultDir, set, LogSink(), &faults);
  if (!opened.ok()) {
    ASSERT_CODE(opened, Code::kIo);
    *hit = true;
    return;
  }
  Db* db = opened->get();
  auto ks = db->DefaultKeyspace();
  const auto& map = held.at("default");
  for (const auto& [key, value] : map) {
    Epoch::Guard guard(db->epoch());
    ReadFound found;
    const Status s = db->Get(ks.get(), nullptr, key, false, &found);
    if (!s.ok()) {
      ASSERT_CODE(s, Code::kIo);
    } else {
      assert_true(found.found && found.value == value);
    }
  }
  for (const bool forwards : {true, false}) {
    IterOptions io;
    io.fill_cache = false;
    auto it = db->NewIterator(ks.get(), io);
    if (!it.ok()) {
      ASSERT_CODE(it, Code::kIo);
      continue;
    }
    size_t count = 0;
    auto f = map.begin();
    auto b = map.rbegin();
    forwards ? (*it)->SeekToFirst() : (*it)->SeekToLast();
    for (; (*it)->on(); forwards ? (*it)->Next() : (*it)->Prev(), ++count) {
      assert_true(count < map.size());
      ASSERT_SLICE((*it)->key(), forwards ? f->first : b->first);
      ASSERT_SLICE((*it)->value(), forwards ? f->second : b->second);
      forwards ? static_cast<void>(++f) : static_cast<void>(++b);
    }
    if ((*it)->status().ok()) {
      assert_int_equal(count, map.size());
      continue;
    }
    ASSERT_CODE((*it)->status(), Code::kIo);
    faults.Heal();
    (*it)->Next();
    assert_false((*it)->on());
    (*it)->SeekToFirst();
    assert_false((*it)->on());
    ASSERT_CODE((*it)->status(), Code::kIo);
    faults.Fail(Fault(kFaultRead, 1, EIO, for_ever));
  }
  const Status compacted = db->Compact(ks.get(), Slice(), Slice(), JobControl());
  *hit = faults.failures() != 0;
  if (!compacted.ok()) ASSERT_CODE(compacted, Code::kIo);
  faults.Heal();
  std::string error;
  assert_true(Serialise(ReadAll(db, &error)) == Serialise(held));
  assert_string_equal(error.c_str(), "");
  ASSERT_OK(db->Verify(JobControl()));
  static_cast<void>(db->Close());
  ks = RefPtr<Keyspace>();
}

void fault_loops__every_read(void**) {
  RecordingVfs base;
  OptionSet set;
  ASSERT_OK(set.Parse("memory_budget=4MiB; compaction=manual; block_size=1KiB"));
  auto opened = Db::Open(kFaultDir, set, LogSink(), &base);
  ASSERT_OK(opened);
  auto ks = (*opened)->DefaultKeyspace();
  for (uint64_t i = 0; i < 60; ++i) {
    ASSERT_OK((*opened)->Put(ks.get(), kOs, K(i % 40), V(i, 200), 0, nullptr));
    if (i % 20 == 19) ASSERT_OK((*opened)->Flush());
    if (i == 30) ASSERT_OK((*opened)->Compact(ks.get(), Slice(), Slice(), JobControl()));
  }
  ASSERT_OK((*opened)->DeleteRange(ks.get(), kOs, K(3), K(5), nullptr));
  std::string error;
  const Contents held = ReadAll(opened->get(), &error);
  ks = RefPtr<Keyspace>();
  ASSERT_OK((*opened)->Close());
  uint64_t runs = 0;
  for (const bool for_ever : {false, true}) {
    runs += FailEach([&](uint64_t n) {
      if (for_ever && n > 40) return false;
      MemoryVfs image(base.memory()->Image());
      bool hit = false;
      ReadRun(&image, held, n, for_ever, &hit);
      // Whatever happened, the files still hold everything.
      auto again = Db::Open(kFaultDir, set, LogSink(), &image);
      ASSERT_OK(again);
      assert_true(Serialise(ReadAll(again->get(), &error)) == Serialise(held));
      ASSERT_OK((*again)->Close());
      return hit;
    });
  }
  alarm(0);
  std::printf("every read: %llu runs\n", static_cast<unsigned long long>(runs));
  assert_true(runs > 40);
}

// A compaction in the background that cannot read has touched nothing: it is tried again, writes
// and reads of other data go on, and the database is not poisoned.
void fault_loops__a_compaction_that_cannot_read_tries_again(void**) {
  RecordingVfs base;
  FaultRun run(&base, "block_size=1KiB; cache_size=0; log_retention=1MiB",
               "compaction cannot read");
  ASSERT_OK(run.Open());
  Fault fault(kFaultRead, 1, EIO, true);
  fault.path_contains = ".kst";
  run.faults()->Fail(fault);
  for (uint64_t i = 0; i < 12; ++i) {
    ASSERT_OK(run.Put("default", K(i % 3), V(i, 300), kSync));
    ASSERT_OK(run.Flush());
  }
  while (run.db()->Stat("background_errors").value_or(0) < 2) usleep(1000);
  assert_false(run.poisoned());
  ASSERT_CODE(run.db()->WaitIdle(-1), Code::kIo);
  ASSERT_OK(run.Put("default", "meanwhile", "yes", kSync));
  run.faults()->Heal();
  ASSERT_OK(run.db()->WaitIdle(20000));
  assert_true(run.db()->Stat("compactions").value_or(0) > 0);
  run.CheckVisible();
  ASSERT_OK(run.Close());
  run.CheckReopened(&base, false);
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(fault_loops__every_sync),
      cmocka_unit_test(fault_loops__every_directory_sync),
      cmocka_unit_test(fault_loops__a_group_fails_whole),
      cmocka_unit_test(fault_loops__every_write),
      cmocka_unit_test(fault_loops__every_failed_write_that_cannot_be_undone),
      cmocka_unit_test(fault_loops__every_other_call),
      cmocka_unit_test(fault_loops__no_descriptor_for_a_directory),
      cmocka_unit_test(fault_loops__every_call_of_a_manifest_roll),
      cmocka_unit_test(fault_loops__every_read),
      cmocka_unit_test(fault_loops__a_compaction_that_cannot_read_tries_again),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
