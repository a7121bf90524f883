// Destroying a database, cut short by a crash: it opens with all that it held or is refused, and
// never with a part; destroying it again removes what is left. KIST_CRASH_STATES sets how many
// states are judged.
#include <cstdio>
#include <cstdlib>

#include "db/db.h"
#include "key/file_name.h"
#include "support/commit_history.h"
#include "support/crash_states.h"
#include "support/fault_vfs.h"

namespace kist::test {
namespace {

constexpr char kDir[] = "/db";

uint64_t States() {
  const char* v = std::getenv("KIST_CRASH_STATES");
  return v != nullptr ? std::strtoull(v, nullptr, 10) : 2000;
}

Result<std::unique_ptr<Db>> OpenAt(Vfs* vfs, const char* more) {
  OptionSet options;
  ASSERT_OK(options.Parse("memory_budget=4MiB; sync=never; write_buffer_size=64KiB"));
  ASSERT_OK(options.Parse(more));
  return Db::Open(kDir, options, LogSink(), vfs);
}

size_t Logs(Vfs* vfs) {
  const auto names = vfs->List(kDir);
  ASSERT_OK(names);
  size_t logs = 0;
  for (const std::string& name : *names) {
    const auto parsed = ParseFileName(name);
    logs += parsed && parsed->type == FileType::kLog;
  }
  return logs;
}

// A database that dies with tables and several segments of its log.
void Make(RecordingVfs* vfs, CommitHistory* history) {
  FaultVfs faults(vfs);
  auto db = OpenAt(&faults, "");
  ASSERT_OK(db);
  history->Use(db->get());
  history->Steps(100);
  ASSERT_OK((*db)->Flush());
  Fault no_tables(kFaultCreate, 1, EIO, true);
  no_tables.path_contains = ".kst";
  faults.Fail(no_tables);
  while (Logs(vfs) < 4) history->Put();
  ASSERT_OK((*db)->Sync());
  faults.Fail({kFaultChanging, 1, EIO, true});
  db->reset();
}

void Judge(const CrashState& s, const CommitHistory& history, uint64_t* whole) {
  auto vfs = s.MakeVfs();
  auto db = OpenAt(vfs.get(), "create_if_missing=false");
  if (db.ok()) {
    if (Dump(db->get()) != history.At(history.last()))
      fail_msg("%s: it opens with a part of what it held", s.ToString().c_str());
    ++*whole;
    ASSERT_OK((*db)->Close());
    db->reset();
  } else if (!db.status().Is(Code::kCorrupt) && !db.status().Is(Code::kMissing)) {
    fail_msg("%s: %s", s.ToString().c_str(), db.status().ToString().c_str());
  }
  const Status again = DestroyDb(kDir, vfs.get());
  if (!again.ok() && !again.Is(Code::kMissing))
    fail_msg("%s: %s", s.ToString().c_str(), again.ToString().c_str());
  auto fresh = OpenAt(vfs.get(), "create_if_missing=true");
  ASSERT_OK(fresh);
  assert_int_equal((*fresh)->last_seq(), 0);
  ASSERT_OK((*fresh)->Close());
}

void destroy__a_crash_leaves_all_or_nothing(void**) {
  RecordingVfs vfs;
  CommitHistory history(Seed("destroy"));
  Make(&vfs, &history);
  CrashOptions options;
  options.first_boundary = vfs.op_count();
  options.random_subsets = 40;
  options.seed = history.rng().Next();
  ASSERT_OK(DestroyDb(kDir, &vfs));
  uint64_t whole = 0;
  const uint64_t all =
      CrashStates(vfs.GetTrace(), options).ForEach([](const CrashState&) { return true; });
  options.shards = static_cast<uint32_t>(all / States() + 1);
  const uint64_t judged = CrashStates(vfs.GetTrace(), options).ForEach([&](const CrashState& s) {
    Judge(s, history, &whole);
    return true;
  });
  std::printf("%llu states, %llu of them whole\n", static_cast<unsigned long long>(judged),
              static_cast<unsigned long long>(whole));
  assert_true(whole > 0 && whole < judged);
}

// A call fails, or fails and happens all the same, once or for ever: the database is whole, or is
// refused and can be destroyed again, and files that are not Kist's stay.
void destroy__fails_at_every_call(void**) {
  RecordingVfs made;
  CommitHistory history(Seed("destroy, faults"));
  Make(&made, &history);
  uint64_t failed = 0;
  for (int how = 0; how < 4; ++how) {
    for (uint64_t n = 1, hit = 1; hit != 0; ++n) {
      MemoryVfs vfs(made.memory()->Image());
      ASSERT_OK(vfs.Open(JoinPath(kDir, "notes"), OpenMode::kCreateNew).status());
      FaultVfs faults(&vfs);
      Fault fault(kFaultAll, n, n % 2 == 0 ? EIO : EACCES, (how & 1) != 0);
      fault.done = (how & 2) != 0;
      faults.Fail(fault);
      const Status s = DestroyDb(kDir, &faults);
      hit = faults.failures();
      failed += hit != 0;
      assert_true(s.ok() || s.Is(Code::kIo) || s.Is(Code::kPermission));
      auto db = OpenAt(&vfs, "create_if_missing=false");
      if (db.ok() && (s.ok() || Dump(db->get()) != history.At(history.last())))
        fail_msg("call %d: it opens with a part of what it held", static_cast<int>(n));
      if (!db.ok() && !db.status().Is(Code::kCorrupt) && !db.status().Is(Code::kMissing))
        fail_msg("call %d: %s", static_cast<int>(n), db.status().ToString().c_str());
      db = Status::Bare(Code::kClosed);
      const Status again = DestroyDb(kDir, &vfs);
      if (!again.ok() && !again.Is(Code::kMissing))
        fail_msg("call %d: %s", static_cast<int>(n), again.ToString().c_str());
      assert_int_equal(vfs.List(kDir)->size(), 1);
      ASSERT_OK(vfs.Stat(JoinPath(kDir, "notes")));
    }
  }
  assert_true(failed > 40);
}

// A database that is opened and closed between the look and the lock has other files then.
void destroy__looks_again_behind_the_lock(void**) {
  class AtLock : public WrapVfs {
   public:
    explicit AtLock(Vfs* base) : WrapVfs(base) {}
    Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
      auto db = OpenAt(base_, "");
      ASSERT_OK(db);
      ASSERT_OK((*db)->Close());
      db->reset();
      return base_->Lock(path);
    }
  };
  auto memory = NewMemoryVfs();
  auto db = OpenAt(memory.get(), "");
  ASSERT_OK(db);
  ASSERT_OK((*db)->Close());
  db->reset();
  AtLock vfs(memory.get());
  ASSERT_OK(DestroyDb(kDir, &vfs));
  ASSERT_CODE(memory->Stat(kDir), Code::kMissing);
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(destroy__a_crash_leaves_all_or_nothing),
      cmocka_unit_test(destroy__fails_at_every_call),
      cmocka_unit_test(destroy__looks_again_behind_the_lock),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
