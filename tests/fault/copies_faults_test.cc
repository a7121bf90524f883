// Copies on a file system that fails: database and target share it, and every Nth call of each
// class fails, with each errno in turn, once and for ever, at times done all the same (promises
// G5, G19, G20). Whatever was told: what is there of a copy is the state after one commit or is
// refused, earlier backups come back, the database shows its commits, and once the calls work
// again so do the copies, unless the database says that it is poisoned.
#include "backup/backup.h"
#include "backup/checkpoint.h"
#include "backup/prune.h"
#include "support/copies_fixture.h"
#include "support/fault_run.h"
#include "support/fault_vfs.h"

namespace kist::test {
namespace {

bool Quick() { return std::getenv("KIST_TEST_QUICK") != nullptr; }

const int kErrors[] = {EIO, ENOSPC, EACCES, EMFILE, EDQUOT, ENOMEM, EAGAIN, EOPNOTSUPP, EROFS};
constexpr char kCopy[] = "/copy", kRestored[] = "/restored";

// A database with one backup, and commits after it in memory, log and tables.
struct Scene {
  explicit Scene(uint64_t seed) : history(seed) {
    db = OpenDb(&faults, "/db");
    history.Use(db.get());
    history.Steps(30);
    ASSERT_OK(MakeBackup(db.get(), Open(&faults).get(), {}, &first));
    history.Steps(20);
    for (int i = 0; i < 3; ++i) history.Put();
    ASSERT_OK(db->WaitIdle(-1));  // what fails are the copies' calls
  }
  ~Scene() { static_cast<void>(db->Close()); }
  bool poisoned() { return db->Stat("poisoned").value_or(0) != 0; }

  MemoryVfs base;
  FaultVfs faults{&base};
  CommitHistory history;
  std::unique_ptr<Db> db;
  Sequence first = 0;
};

Status Checkpoint(Scene* s) { return MakeCheckpoint(s->db.get(), &s->faults, kCopy, nullptr); }

Status BackUp(Scene* s) {
  KIST_TRY_ASSIGN(auto target, OpenTarget(&s->faults, kTarget, true));
  return MakeBackup(s->db.get(), target.get(), {}, nullptr);
}

Status Restore(Scene* s) {
  KIST_TRY_ASSIGN(auto target, OpenTarget(&s->faults, kTarget, false));
  return RestoreBackup(target.get(), &s->faults, kRestored, {}, {}, nullptr);
}

Status Prune(Scene* s) {
  KIST_TRY_ASSIGN(auto target, OpenTarget(&s->faults, kTarget, false));
  PruneReport report;
  return PruneTarget(&s->faults, target.get(), {1, 0}, {}, &report);
}

// What stands at `path` is the state of `want`, or nobody takes it for a database, an empty one
// least of all.
void JudgeCopy(Scene* scene, const char* path, Sequence want, bool made, const std::string& what) {
  OptionSet options;
  ASSERT_OK(options.Parse("memory_budget=4MiB; create_if_missing=false; read_only=true"));
  const auto db = Db::Open(path, options, LogSink(), &scene->base);
  if (db.ok()) {
    if (Dump(db->get()) != scene->history.At(want)) fail_msg("%s: another state", what.c_str());
    ASSERT_OK((*db)->Verify({}));
  } else if (made) {
    fail_msg("%s: made, and does not open: %s", what.c_str(), db.status().ToString().c_str());
  }
}

// Puts the place of a copy in order again, as its caller would.
void Clear(Scene* scene, const char* path) {
  Status s = DestroyDb(path, &scene->base);
  if (!s.ok() && !s.Is(Code::kMissing)) fail_msg("%s: %s", path, s.ToString().c_str());
  s = scene->base.RemoveDir(path);
  if (!s.ok() && !s.Is(Code::kMissing)) fail_msg("%s: %s", path, s.ToString().c_str());
}

using Work = Status (*)(Scene*);

// more: another backup before.
bool Run(const char* name, Work work, const Fault& fault, bool more, uint64_t seed) {
  Scene scene(seed);
  const std::string what = std::string(name) + ", calls " + std::to_string(fault.calls) + ", " +
                           std::to_string(fault.nth) + (fault.for_ever ? " and later" : "") +
                           (fault.done ? ", done" : "") + ", errno " + std::to_string(fault.error);
  WatchDog(what);
  const Sequence last = scene.history.last();
  if (more) ASSERT_OK(BackUp(&scene));
  scene.faults.Fail(fault);
  Status s = work(&scene);
  const bool hit = scene.faults.failures() != 0;
  scene.faults.Heal();
  for (const Code never : {Code::kCorrupt, Code::kInternal, Code::kInvalid, Code::kMisuse})
    if (s.Is(never)) fail_msg("%s: %s", what.c_str(), s.ToString().c_str());
  if (!hit && !s.ok()) fail_msg("%s: %s", what.c_str(), s.ToString().c_str());

  ASSERT_SLICE(Dump(scene.db.get()), scene.history.At(last));
  JudgeCopy(&scene, kCopy, last, s.ok() && work == Checkpoint, what);
  JudgeCopy(&scene, kRestored, more ? last : scene.first, s.ok() && work == Restore, what);
  if (!more) Expect(&scene.base, scene.history, {scene.first, 0}, scene.first);
  if (more || (s.ok() && work == BackUp)) Expect(&scene.base, scene.history, {}, last);
  for (const char* path : {kCopy, kRestored}) Clear(&scene, path);

  if (scene.poisoned()) {
    ASSERT_CODE(Checkpoint(&scene), Code::kPoisoned);
    ASSERT_CODE(BackUp(&scene), Code::kPoisoned);
  } else {
    if (!(s = work(&scene)).ok())
      fail_msg("%s: does not heal: %s", what.c_str(), s.ToString().c_str());
    ASSERT_OK(BackUp(&scene));
    Expect(&scene.base, scene.history, {}, last);
  }
  return hit;
}

void Loop(const char* name, Work work, bool more) {
  const uint64_t seed = Seed(name);
  uint64_t runs = 0;
  for (const uint32_t calls :
       {kFaultRead, kFaultWrite, kFaultSync, kFaultTruncate, kFaultPreallocate, kFaultOpen,
        kFaultCreate, kFaultRename, kFaultRemove, kFaultLink, kFaultMakeDir, kFaultSyncDir,
        kFaultList, kFaultLock, kFaultSize, kFaultThread}) {
    for (const int how : {0, 1, 2}) {  // once; for ever; once, and done
      const bool done = (calls & (kFaultCreate | kFaultRename | kFaultRemove | kFaultLink |
                                  kFaultMakeDir | kFaultTruncate)) != 0;
      if (how == 2 && !done) continue;
      if (Quick() && how == 1) continue;
      uint64_t n = 0;
      runs += FailEach([&](uint64_t nth) {
        Fault fault(calls, nth, kErrors[n++ % std::size(kErrors)], how == 1);
        fault.done = how == 2;
        return Run(name, work, fault, more, seed);
      });
    }
  }
  alarm(0);
  std::printf("%s: %llu runs\n", name, static_cast<unsigned long long>(runs));
  assert_true(runs > 20);
}

void copies_faults__checkpoint(void**) { Loop("checkpoint", Checkpoint, false); }
void copies_faults__backup(void**) { Loop("backup", BackUp, false); }
void copies_faults__restore(void**) { Loop("restore", Restore, false); }
void copies_faults__prune(void**) { Loop("prune", Prune, true); }

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(copies_faults__checkpoint),
      cmocka_unit_test(copies_faults__backup),
      cmocka_unit_test(copies_faults__restore),
      cmocka_unit_test(copies_faults__prune),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
