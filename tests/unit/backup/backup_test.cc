// Backups and restores on a directory target: what comes back, what is shared, what is refused by
// name, what an interruption leaves.
#include "backup/backup.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "backup/prune.h"
#include "backup/restore.h"
#include "backup/stream.h"
#include "backup/summary.h"
#include "key/file_name.h"
#include "support/clock_vfs.h"
#include "support/copies_fixture.h"
#include "support/fault_vfs.h"
#include "vfs/memory_vfs.h"

namespace kist::test {
namespace {

Sequence Backup(Db* db, Vfs* vfs) {
  Sequence seq = 0;
  ASSERT_OK(MakeBackup(db, Open(vfs).get(), {}, &seq));
  return seq;
}

Status RestoreTo(Vfs* vfs, const std::string& path, RestorePoint point, Sequence* seq = nullptr) {
  auto target = OpenTarget(vfs, kTarget, false);
  if (!target.ok()) return target.status();
  return RestoreBackup(target->get(), vfs, path, point, {}, seq);
}

std::vector<std::string> Objects(Vfs* vfs, const std::string& part) {
  std::vector<std::string> out;
  auto target = Open(vfs, false);
  const auto list = target->List("");
  ASSERT_OK(list.status());
  for (const ObjectInfo& o : *list) {
    if (o.name.find(part) != std::string::npos) out.push_back(o.name);
  }
  return out;
}

// Asks for the lock of one directory before each call that changes something in it.
class LockAsker : public WrapVfs {
 public:
  LockAsker(Vfs* base, std::string dir) : WrapVfs(base), dir_(std::move(dir)) {}
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    if (mode != OpenMode::kRead) Ask(path);
    return base_->Open(path, mode);
  }
  Status Rename(const std::string& from, const std::string& to) override {
    Ask(from);
    return base_->Rename(from, to);
  }
  Status Remove(const std::string& path) override {
    Ask(path);
    return base_->Remove(path);
  }
  Status SyncDir(const std::string& dir) override {
    Ask(JoinPath(dir, "any"));
    return base_->SyncDir(dir);
  }
  int asked() const { return asked_.load(); }
  int got() const { return got_.load(); }

 private:
  void Ask(const std::string& path) {
    if (ParentDir(path) != dir_) return;
    ++asked_;
    if (base_->Lock(JoinPath(dir_, kLockFileName)).ok()) ++got_;
  }
  const std::string dir_;
  std::atomic<int> asked_{0}, got_{0};
};

// Tables of the target that no base names.
size_t Unneeded(Vfs* vfs) {
  auto target = Open(vfs, false);
  auto catalog = Catalog::Load(target.get(), Catalog::Part::kWhole);
  ASSERT_OK(catalog.status());
  auto tables = catalog->tables;
  for (const auto& [number, g] : catalog->generations) {
    for (const auto& [lsn, name] : g.bases) {
      auto base = ReadBase(target.get(), *catalog, name);
      ASSERT_OK(base.status());
      for (const BaseTable& t : base->tables) tables.erase(FormatObjectName(NameOf(t)));
    }
  }
  return tables.size();
}

// Every commit that a backup can give is given, and nothing else.
void backup__restores_each_commit_it_holds(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  CommitHistory history(Seed("each commit"));
  history.Use(db.get());
  for (int round = 0; round < 6; ++round) {
    history.Steps(20 + static_cast<int>(history.rng().Below(60)));
    history.Put();  // so that no two backups are of the same commit
    const Sequence seq = Backup(db.get(), vfs.get());
    assert_int_equal(seq, history.last());
    Expect(vfs.get(), history, {}, seq);
  }
  // A backup gives the commits from its base on, one by one, and no others.
  auto target = Open(vfs.get(), false);
  auto generations = SummarizeTarget(target.get());
  ASSERT_OK(generations.status());
  assert_int_equal(generations->size(), 6);
  Sequence nearest = 0;  // the newest commit so far that can be given
  for (const auto& [seq, state] : history.states()) {
    if (seq == 0) continue;
    const bool given =
        std::any_of(generations->begin(), generations->end(),
                    [seq = seq](const auto& g) { return g.first_seq <= seq && seq <= g.last_seq; });
    if (given) {
      nearest = seq;
      Expect(vfs.get(), history, {seq, 0}, seq);
      continue;
    }
    Status s = RestoreTo(vfs.get(), "/at", {seq, 0});
    ASSERT_CODE(s, Code::kMissing);
    assert_int_equal(s.aux(), nearest);
    ASSERT_CODE(vfs->Stat("/at"), Code::kMissing);
  }
  ASSERT_CODE(RestoreTo(vfs.get(), "/at", {history.last() + 1, 0}), Code::kMissing);
  ASSERT_CODE(RestoreTo(vfs.get(), "/at", {1, 1}), Code::kInvalid);
  ASSERT_OK(db->Close());
}

void backup__restores_to_a_time(void**) {
  auto base = NewMemoryVfs();
  ClockVfs vfs(base.get());
  auto db = OpenDb(&vfs, "/db");
  CommitHistory history(Seed("time"));
  history.Use(db.get());
  std::map<int64_t, Sequence> at;  // the commit of that time
  const auto tick = [&] {
    vfs.AdvanceMs(1000);
    history.Put();
    at[vfs.WallMs()] = history.last();
  };
  const auto missing = [&](int64_t time, Sequence nearest) {
    Status s = RestoreTo(&vfs, "/at", {0, time});
    ASSERT_CODE(s, Code::kMissing);
    assert_int_equal(s.aux(), nearest);
  };
  for (int i = 0; i < 3; ++i) tick();
  vfs.AdvanceMs(5000);
  ASSERT_OK(db->Flush());
  const int64_t from = vfs.WallMs();
  const Sequence flushed = history.last();
  for (int i = 0; i < 30; ++i) tick();
  Backup(db.get(), &vfs);
  // The times of commits that stand in tables alone are not known, but that they were before.
  missing(from - 1, 0);
  Expect(&vfs, history, {0, from}, flushed);
  for (const auto& [time, seq] : at) {
    if (time < from) continue;
    Expect(&vfs, history, {0, time}, seq);
    Expect(&vfs, history, {0, time + 999}, seq);
  }
  Expect(&vfs, history, {0, vfs.WallMs() + 1000000}, history.last());
  // What happened between two backups that do not reach one another is not guessed.
  const Sequence first_end = history.last();
  for (int i = 0; i < 5; ++i) tick();
  ASSERT_OK(db->Flush());
  tick();
  ASSERT_OK(db->Flush());
  const int64_t between = vfs.WallMs();
  vfs.AdvanceMs(2000);
  Backup(db.get(), &vfs);
  missing(between - 1, first_end);
  Expect(&vfs, history, {0, between}, history.last());
  // Of two of which one begins where the other ends it is known that nothing was between them.
  tick();
  const Sequence end = Backup(db.get(), &vfs);
  const int64_t ended = vfs.WallMs();
  vfs.AdvanceMs(5000);
  ASSERT_OK(db->Flush());
  tick();
  Backup(db.get(), &vfs);
  Expect(&vfs, history, {0, ended + 3000}, end);
  Expect(&vfs, history, {0, ended + 5999}, end);
  Expect(&vfs, history, {0, ended + 6000}, history.last());
  ASSERT_OK(db->Close());
}

void backup__shares_tables_and_goes_on_after_an_interruption(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db", "compaction=manual");
  CommitHistory history(3);
  history.Use(db.get());
  history.Steps(300);
  ASSERT_OK(db->Flush());
  int calls = 0;
  JobControl cancel;
  cancel.progress = [&](uint64_t done, uint64_t total) {
    assert_true(done <= total);
    return ++calls < 8;
  };
  ASSERT_CODE(MakeBackup(db.get(), Open(vfs.get()).get(), cancel, nullptr), Code::kCancelled);
  ASSERT_CODE(RestoreTo(vfs.get(), "/at", {}), Code::kMissing);
  const auto first = Objects(vfs.get(), "tables/");
  assert_true(!first.empty());
  Backup(db.get(), vfs.get());
  const auto all = Objects(vfs.get(), "tables/");
  assert_true(std::includes(all.begin(), all.end(), first.begin(), first.end()));
  Backup(db.get(), vfs.get());
  assert_true(Objects(vfs.get(), "tables/") == all);
  Expect(vfs.get(), history, {}, history.last());
  ASSERT_OK(db->Close());
}

// Whoever watches a restore hears of it while it fetches, while it replays the log and while it
// verifies, and can end it at each report.
void backup__a_restore_can_be_ended_at_every_report(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db", "write_buffer_size=1MiB;memory_budget=64MiB;");
  CommitHistory history(Seed("reports"));
  history.Use(db.get());
  history.Put();
  ASSERT_OK(db->Flush());
  const auto ks = db->DefaultKeyspace();
  StreamOptions options;
  auto stream = Stream::Start(db.get(), Open(vfs.get()), options);
  ASSERT_OK(stream.status());
  ASSERT_OK((*stream)->Wait(db->last_seq(), kPatienceMs));
  const std::string value(100000, 'v');
  for (int i = 0; i < 40; ++i)
    ASSERT_OK(db->Put(ks.get(), Durability::kOs, "big" + std::to_string(i), value, 0, nullptr));
  ASSERT_OK((*stream)->Wait(db->last_seq(), kPatienceMs));
  stream->reset();
  uint64_t all = 0, most = 0, replaying = 0;
  for (uint64_t end = 0; end == 0 || end <= all; ++end) {
    auto memory = NewMemoryVfs();
    uint64_t reports = 0, before = 0;
    JobControl job;
    job.progress = [&](uint64_t done, uint64_t total) {
      assert_true(done >= before && done <= total);
      before = done;
      most = total;
      if (end == 0 && memory->Stat("/restored/CURRENT").ok() && done + 500000 < total / 3 * 2)
        ++replaying;
      return ++reports != end;
    };
    const Status s =
        RestoreBackup(Open(vfs.get(), false).get(), memory.get(), "/restored", {}, job, nullptr);
    if (end == 0) {
      ASSERT_OK(s);
      all = reports;
      assert_int_equal(before, most);
      continue;
    }
    ASSERT_CODE(s, Code::kCancelled);
    assert_false(memory->Stat("/restored").ok());
  }
  assert_true(replaying > 1);
  ASSERT_OK(db->Close());
}

// Same database id, same file numbers, other contents: two copies of one database.
void backup__tells_divergent_histories_apart(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  CommitHistory history(Seed("divergent"));
  history.Use(db.get());
  history.Steps(100);
  const Sequence fork = Backup(db.get(), vfs.get());
  ASSERT_OK(RestoreTo(vfs.get(), "/other", {fork, 0}));
  CommitHistory other = history;
  auto copy = OpenDb(vfs.get(), "/other");
  other.Use(copy.get());
  history.Steps(70);
  other.rng().Next();
  other.Steps(50);
  Backup(copy.get(), vfs.get());
  Expect(vfs.get(), other, {}, other.last());
  Backup(db.get(), vfs.get());
  Expect(vfs.get(), history, {}, history.last());
  other.Steps(50);
  Backup(copy.get(), vfs.get());
  Expect(vfs.get(), other, {}, other.last());
  Expect(vfs.get(), history, {fork, 0}, fork);
  ASSERT_OK(copy->Close());
  ASSERT_OK(db->Close());
}

void backup__a_target_is_one_databases(void**) {
  auto vfs = NewMemoryVfs();
  auto one = OpenDb(vfs.get(), "/one"), two = OpenDb(vfs.get(), "/two");
  Backup(one.get(), vfs.get());
  ASSERT_CODE(MakeBackup(two.get(), Open(vfs.get()).get(), {}, nullptr), Code::kExists);
  ASSERT_CODE(OpenTarget(vfs.get(), "/absent", false), Code::kMissing);
  ASSERT_CODE(OpenTarget(vfs.get(), "ftp://x/y", true), Code::kInvalid);
  ASSERT_CODE(OpenTarget(vfs.get(), "file://x/y", true), Code::kInvalid);
  ASSERT_OK(OpenTarget(vfs.get(), "file:///target", false).status());
  for (const char* inside : {"/one", "/one/", "/one/t", "/one/t//", "file:///one/t"})
    ASSERT_CODE(OpenTarget(vfs.get(), inside, true), Code::kInvalid);
  ASSERT_OK(vfs->MakeDir("/full"));
  ASSERT_OK(vfs->Open("/full/x", OpenMode::kCreateNew).status());
  ASSERT_CODE(RestoreTo(vfs.get(), "/full", {}), Code::kExists);
  ASSERT_OK(one->Close());
  ASSERT_OK(two->Close());
}

// Every object damaged, dropped, cut, swapped with another or replaced by a foreign one: the
// restore gives the right state or says which object is wrong; it never gives another state.
void backup__refuses_damage_by_name(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db", "compaction=manual; write_buffer_size=1MiB");
  CommitHistory history(Seed("damage"));
  history.Use(db.get());
  history.Steps(200);
  ASSERT_OK(db->Flush());
  for (int i = 0; i < 30; ++i) history.Put();
  const Sequence newest = Backup(db.get(), vfs.get());
  auto stranger = OpenDb(vfs.get(), "/stranger");
  ASSERT_OK(
      stranger->Put(stranger->DefaultKeyspace().get(), Durability::kOs, "k", "v", 0, nullptr));
  ASSERT_OK(
      MakeBackup(stranger.get(), OpenTarget(vfs.get(), "/foreign", true)->get(), {}, nullptr));
  ASSERT_OK(stranger->Close());
  const auto objects = Objects(vfs.get(), "");
  uint64_t refused = 0;
  const auto judge = [&](const std::string& what, const std::string& name) {
    Status s = RestoreTo(vfs.get(), "/at", {}, nullptr);
    if (s.ok()) {
      ASSERT_SLICE(DumpAt(vfs.get(), "/at"), history.At(newest));
      ASSERT_OK(DestroyDb("/at", vfs.get()));
      // Which writer began a generation is nothing to a restore.
      if (name.find("/start") == std::string::npos)
        fail_msg("%s of %s unseen", what.c_str(), name.c_str());
      return;
    }
    ++refused;
    const bool named = s.message().find(name) != std::string::npos ||
                       s.message().find("holds no") != std::string::npos;
    if (!named) fail_msg("%s of %s: %s", what.c_str(), name.c_str(), s.ToString().c_str());
    ASSERT_CODE(vfs->Stat("/at"), Code::kMissing);
  };
  const auto path = [](const std::string& name) { return std::string(kTarget) + "/" + name; };
  for (const std::string& name : objects) {
    const std::string whole = ReadFile(vfs.get(), path(name)).Take();
    const auto write = [&](const std::string& bytes) {
      auto file = vfs->Open(path(name), OpenMode::kCreateOrTruncate);
      ASSERT_OK((*file)->Write(0, bytes));
    };
    for (int i = 0; i < 12; ++i) {
      std::string bytes = whole;
      bytes[history.rng().Below(bytes.size())] ^= static_cast<char>(1 << history.rng().Below(8));
      write(bytes);
      judge("a flip", name);
    }
    write(whole.substr(0, history.rng().Below(whole.size())));
    judge("a cut", name);
    write(whole + "x");
    // Behind a table nothing is read.
    if (name.find("tables/") == std::string::npos) judge("a longer one", name);
    const std::string twin = "/foreign/" + name;
    if (vfs->Stat(twin).ok()) {
      write(ReadFile(vfs.get(), twin).Take());
      if (name != "KIST-TARGET") judge("a foreign one", name);
    }
    ASSERT_OK(vfs->Remove(path(name)));
    judge("a drop", name);
    write(whole);
  }
  assert_true(refused > objects.size() * 5);
  Expect(vfs.get(), history, {}, newest);
  ASSERT_OK(db->Close());
}

// A call fails at the target: the backup says so, what was there before can be restored, and the
// next one succeeds.
void backup__fails_cleanly_at_every_call_of_the_target(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  CommitHistory history(Seed("target faults"));
  history.Use(db.get());
  history.Steps(60);
  const Sequence before = Backup(db.get(), vfs.get());
  history.Steps(60);
  uint64_t failed = 0;
  for (uint64_t n = 1;; n += 1 + n / 40) {
    FaultVfs faults(vfs.get());
    faults.Fail({kFaultAll & ~static_cast<uint32_t>(kFaultThread), n, n % 2 == 0 ? ENOSPC : EIO});
    Sequence seq = 0;
    auto target = OpenTarget(&faults, kTarget, true);
    Status s = target.ok() ? MakeBackup(db.get(), target->get(), {}, &seq) : target.status();
    if (faults.failures() == 0) {
      ASSERT_OK(s);
      break;
    }
    ++failed;
    Sequence got = 0;
    ASSERT_OK(RestoreTo(vfs.get(), "/at", {}, &got));
    if (s.ok()) assert_int_equal(got, seq);
    assert_true(got == before || got == history.last());
    ASSERT_SLICE(DumpAt(vfs.get(), "/at"), history.At(got));
    ASSERT_OK(DestroyDb("/at", vfs.get()));
  }
  assert_true(failed > 15);
  history.Steps(5);
  Backup(db.get(), vfs.get());
  Expect(vfs.get(), history, {}, history.last());
  ASSERT_OK(db->Close());
}

void backup__restore_fails_cleanly_at_every_call(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  CommitHistory history(Seed("restore faults"));
  history.Use(db.get());
  history.Steps(80);
  const Sequence seq = Backup(db.get(), vfs.get());
  for (uint64_t n = 1;; n += 1 + n / 30) {
    FaultVfs faults(vfs.get());
    faults.Fail({kFaultAll & ~static_cast<uint32_t>(kFaultThread), n, n % 2 == 0 ? ENOSPC : EIO});
    Status s = RestoreBackup(Open(vfs.get(), false).get(), &faults, "/at", {}, {}, nullptr);
    if (s.ok()) {
      ASSERT_SLICE(DumpAt(vfs.get(), "/at"), history.At(seq));
      ASSERT_OK(DestroyDb("/at", vfs.get()));
    } else {
      const auto left = vfs->List("/at");
      if (left.ok() && !left->empty()) fail_msg("call %d left files", static_cast<int>(n));
      if (left.ok()) ASSERT_OK(vfs->RemoveDir("/at"));
    }
    if (faults.failures() == 0) break;
  }
  ASSERT_OK(db->Close());
}

// A writer that opens the target while another one puts leaves the other's temporary file alone;
// what a dead one left goes after a day.
// Whoever looks for the database meanwhile finds it locked until it is finished.
void backup__a_restore_keeps_the_lock(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  CommitHistory history(Seed("lock"));
  history.Use(db.get());
  history.Steps(100);
  Backup(db.get(), vfs.get());
  LockAsker asker(vfs.get(), "/restored");
  ASSERT_OK(RestoreTo(&asker, "/restored", {}));
  assert_true(asker.asked() > 10);
  assert_int_equal(asker.got(), 0);
}

void backup__temporaries_of_others_stay_for_a_day(void**) {
  class Reopening final : public ObjectSource {
   public:
    explicit Reopening(Vfs* vfs) : vfs_(vfs) {}
    uint64_t bytes() const override { return 8; }
    Status Read(uint64_t, char* buf, size_t n) override {
      std::fill_n(buf, n, 'x');
      Open(vfs_);
      return Status();
    }

   private:
    Vfs* const vfs_;
  };
  auto base = NewMemoryVfs();
  ClockVfs vfs(base.get());
  auto target = Open(&vfs);
  Reopening source(&vfs);
  ASSERT_OK(target->Put("one", &source));
  assert_int_equal(Objects(&vfs, "one").size(), 1);
  FaultVfs dying(&vfs);
  dying.Fail({kFaultLink | kFaultRemove, 1, EIO, true});
  assert_false(OpenTarget(&dying, kTarget, true).Take()->Put("two", &source).ok());
  const std::string dir = std::string(kTarget) + "/tmp";
  assert_int_equal(vfs.List(dir)->size(), 1);
  vfs.AdvanceMs(23 * 3600 * 1000);
  Open(&vfs);
  assert_int_equal(vfs.List(dir)->size(), 1);
  vfs.AdvanceMs(2 * 3600 * 1000);
  Open(&vfs);
  assert_int_equal(vfs.List(dir)->size(), 0);
}

void backup__beside_a_load(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db", "target_file_size=64KiB");
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    auto ks = db->DefaultKeyspace();
    for (uint64_t i = 1; !stop.load() && i < 200000; ++i) {
      if (!db->Put(ks.get(), Durability::kOs, "key" + std::to_string(i % 2000),
                   std::to_string(i) + std::string(100, 'x'), 0, nullptr)
               .ok())
        std::abort();
    }
  });
  for (int i = 0; i < 5; ++i) {
    const Sequence before = db->last_seq();
    const Sequence seq = Backup(db.get(), vfs.get());
    assert_true(seq >= before);
    Sequence got = 0;
    ASSERT_OK(RestoreTo(vfs.get(), "/at", {}, &got));
    assert_int_equal(got, seq);
    auto copy = OpenDb(vfs.get(), "/at");
    for (uint64_t k = seq < 2000 ? 1 : seq - 1999; k <= seq; ++k) {
      Epoch::Guard guard(copy->epoch());
      ReadFound found;
      ASSERT_OK(copy->Get(copy->DefaultKeyspace().get(), nullptr, "key" + std::to_string(k % 2000),
                          true, &found));
      assert_true(found.found);
      ASSERT_SLICE(found.value, std::to_string(k) + std::string(100, 'x'));
    }
    ASSERT_OK(copy->Close());
    ASSERT_OK(DestroyDb("/at", vfs.get()));
  }
  stop.store(true);
  writer.join();
  ASSERT_OK(db->Close());
}

void backup__prune_keeps_what_kept_states_need(void**) {
  auto base = NewMemoryVfs();
  ClockVfs vfs(base.get());
  auto db = OpenDb(&vfs, "/db");
  CommitHistory history(Seed("prune"));
  history.Use(db.get());
  std::vector<std::pair<int64_t, Sequence>> made;
  for (int i = 0; i < 8; ++i) {
    history.Steps(60);
    vfs.AdvanceMs(3600 * 1000);
    made.emplace_back(vfs.WallMs(), Backup(db.get(), &vfs));
  }
  auto target = Open(&vfs);
  PruneReport report;
  ASSERT_CODE(PruneTarget(&vfs, target.get(), {}, {}, &report), Code::kInvalid);
  // An unfinished backup: what it has uploaded may not go.
  history.Put();
  ASSERT_OK(db->Flush());
  const auto uploaded = Objects(&vfs, "tables/");
  JobControl cancel;
  cancel.progress = [&](uint64_t, uint64_t) { return Objects(&vfs, "tables/") == uploaded; };
  ASSERT_CODE(MakeBackup(db.get(), target.get(), cancel, nullptr), Code::kCancelled);
  ASSERT_OK(PruneTarget(&vfs, target.get(), {5, 0}, {}, &report));
  assert_int_equal(report.bases, 3);
  assert_true(report.tables_spared);
  assert_true(Unneeded(&vfs) == 1);
  for (size_t i = 3; i < made.size(); ++i)
    Expect(&vfs, history, {made[i].second, 0}, made[i].second);
  ASSERT_CODE(RestoreTo(&vfs, "/at", {made[0].second, 0}), Code::kMissing);
  vfs.AdvanceMs(25LL * 3600 * 1000);
  // Backups made 27 and 26 hours ago are young; the one before them is the edge of the span.
  ASSERT_OK(PruneTarget(&vfs, target.get(), {0, 26LL * 3600 * 1000 + 1800 * 1000}, {}, &report));
  assert_false(report.tables_spared);
  assert_int_equal(Objects(&vfs, "/base-").size(), 3);
  assert_int_equal(Unneeded(&vfs), 0);
  for (size_t i = 5; i < made.size(); ++i)
    Expect(&vfs, history, {made[i].second, 0}, made[i].second);
  ASSERT_OK(PruneTarget(&vfs, target.get(), {1, 0}, {}, &report));
  assert_int_equal(Objects(&vfs, "/base-").size(), 1);
  assert_int_equal(Unneeded(&vfs), 0);
  Expect(&vfs, history, {}, made.back().second);
  ASSERT_OK(db->Close());
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(backup__restores_each_commit_it_holds),
      cmocka_unit_test(backup__restores_to_a_time),
      cmocka_unit_test(backup__shares_tables_and_goes_on_after_an_interruption),
      cmocka_unit_test(backup__a_restore_can_be_ended_at_every_report),
      cmocka_unit_test(backup__tells_divergent_histories_apart),
      cmocka_unit_test(backup__a_target_is_one_databases),
      cmocka_unit_test(backup__refuses_damage_by_name),
      cmocka_unit_test(backup__fails_cleanly_at_every_call_of_the_target),
      cmocka_unit_test(backup__restore_fails_cleanly_at_every_call),
      cmocka_unit_test(backup__a_restore_keeps_the_lock),
      cmocka_unit_test(backup__temporaries_of_others_stay_for_a_day),
      cmocka_unit_test(backup__beside_a_load),
      cmocka_unit_test(backup__prune_keeps_what_kept_states_need),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
