// Everything at once on one target: a stream, backups, prunings and restores never hurt each other.
// Each kind of work is interrupted by each other kind at every call that it makes to the target;
// then they all run side by side against a model.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>

#include "backup/backup.h"
#include "backup/checkpoint.h"
#include "backup/prune.h"
#include "backup/stream.h"
#include "backup/summary.h"
#include "support/clock_vfs.h"
#include "support/copies_fixture.h"
#include "support/fault_vfs.h"

namespace kist::test {
namespace {

Sequence Backup(Db* db, Target* target) {
  Sequence seq = 0;
  ASSERT_OK(MakeBackup(db, target, {}, &seq));
  return seq;
}

void Prune(Vfs* vfs, uint64_t keep) {
  PruneReport report;
  ASSERT_OK(PruneTarget(vfs, Open(vfs).get(), {keep, 0}, {}, &report));
}

// Every base of the target, and the end of every generation that has one, can be restored.
void ExpectAll(Vfs* vfs, const CommitHistory& history) {
  auto target = Open(vfs);
  auto catalog = Catalog::Load(target.get(), Catalog::Part::kWhole);
  ASSERT_OK(catalog.status());
  for (const auto& [number, g] : catalog->generations) {
    for (const auto& [lsn, name] : g.bases) {
      auto base = ReadBase(target.get(), *catalog, name);
      ASSERT_OK(base.status());
      for (const BaseTable& t : base->tables) {
        const std::string object = FormatObjectName(NameOf(t));
        if (catalog->tables.count(object) == 0) fail_msg("%s is missing", object.c_str());
      }
      for (uint64_t i = base->first_range; i < base->ranges; ++i) {
        if (g.ranges.count(i) == 0) fail_msg("a range is missing");
      }
      if (lsn != 0) Expect(vfs, history, {lsn, 0}, lsn);
    }
  }
  auto summaries = SummarizeTarget(target.get());
  ASSERT_OK(summaries.status());
  for (const GenerationSummary& s : *summaries) {
    if (s.finished) Expect(vfs, history, {s.last_seq, 0}, s.last_seq);
  }
}

// A target with several bases, compactions between them, so that tables come and go; and with the
// tables of the database as it is, uploaded by a backup that died more than a day ago.
struct Scene {
  explicit Scene(uint64_t seed) : vfs(NewMemoryVfs()), history(seed) {
    db = OpenDb(vfs.get(), "/db");
    history.Use(db.get());
    for (int i = 0; i < 3; ++i) {
      history.Steps(30);
      history.Put();
      ASSERT_OK(db->Flush());
      Backup(db.get(), Open(vfs.get()).get());
    }
    ASSERT_OK(db->Compact(db->DefaultKeyspace().get(), Slice(), Slice(), {}));
    history.Put();
    ASSERT_OK(db->Flush());  // a table that is new in any case
    auto target = Open(vfs.get());
    const size_t before = target->List("tables/")->size();
    JobControl cancel;
    cancel.progress = [&](uint64_t, uint64_t) { return target->List("tables/")->size() == before; };
    ASSERT_CODE(MakeBackup(db.get(), target.get(), cancel, nullptr), Code::kCancelled);
    const auto claims = target->List("claim-");
    for (const ObjectInfo& claim : *claims) ASSERT_OK(target->Delete(claim.name));
    for (int i = 0; i < 20; ++i) history.Put();
  }
  ~Scene() { ASSERT_OK(db->Close()); }
  std::unique_ptr<Vfs> vfs;
  CommitHistory history;
  std::unique_ptr<Db> db;
};

// Quick runs try every third call, from another one each time.
uint64_t Stride() { return std::getenv("KIST_TEST_QUICK") != nullptr ? 3 : 1; }

// work, interrupted at each of its calls to the target by other.
void Interrupt(const char* what, const std::function<void(Scene*, Target*)>& work,
               const std::function<void(Scene*)>& other) {
  const uint64_t seed = Seed(what);
  for (uint64_t n = 1 + seed % Stride();; n += Stride()) {
    Scene scene(seed);
    bool hit = false;
    auto target = Interrupted(Open(scene.vfs.get()), n, [&] {
      hit = true;
      other(&scene);
    });
    work(&scene, target.get());
    ExpectAll(scene.vfs.get(), scene.history);
    Expect(scene.vfs.get(), scene.history, {}, scene.history.last());
    // What was left for later goes then.
    Prune(scene.vfs.get(), 1);
    ExpectAll(scene.vfs.get(), scene.history);
    Expect(scene.vfs.get(), scene.history, {}, scene.history.last());
    if (!hit) break;
    assert_true(n < 1000);
  }
}

void company__a_backup_bears_a_pruning_at_every_call(void**) {
  Interrupt(
      "backup, prune", [](Scene* s, Target* t) { Backup(s->db.get(), t); },
      [](Scene* s) { Prune(s->vfs.get(), 1); });
}

// The clock of whoever prunes is years ahead, so that every claim looks stale to it: a backup or a
// stream that has said that a commit is in the target is right all the same.
void company__a_pruning_whose_clock_is_ahead(void**) {
  const auto ahead = [](Scene* s) {
    ClockVfs clock(s->vfs.get(), s->vfs->WallMs() + int64_t{3652} * 24 * 3600 * 1000);
    Prune(&clock, 1);
  };
  const uint64_t seed = Seed("clock ahead");
  uint64_t refused = 0, fine = 0;
  for (uint64_t n = 1 + seed % Stride();; n += Stride()) {
    Scene scene(seed);
    bool hit = false;
    auto target = Interrupted(Open(scene.vfs.get()), n, [&] {
      hit = true;
      ahead(&scene);
    });
    Sequence seq = 0;
    const Status s = MakeBackup(scene.db.get(), target.get(), {}, &seq);
    s.ok() ? ++fine : ++refused;
    if (s.ok()) Expect(scene.vfs.get(), scene.history, {}, seq);
    if (!s.ok()) ASSERT_CODE(s, Code::kConflict);
    ExpectAll(scene.vfs.get(), scene.history);
    Backup(scene.db.get(), Open(scene.vfs.get()).get());
    Expect(scene.vfs.get(), scene.history, {}, scene.history.last());
    if (!hit) break;
    assert_true(n < 1000);
  }
  std::printf("clock ahead: %d backups done, %d refused\n", static_cast<int>(fine),
              static_cast<int>(refused));
}

// The clock goes back while the database is closed, behind what its last backup was stamped with:
// the newest base is the one of the newest commits, for a pruning and for a restore.
void company__a_clock_that_goes_back(void**) {
  for (const int64_t days : {1, 400, 3652}) {
    auto base = NewMemoryVfs();
    ClockVfs clock(base.get());
    CommitHistory history(Seed("clock back"));
    auto db = OpenDb(&clock, "/db");
    history.Use(db.get());
    history.Steps(30);
    clock.JumpWallMs(days * 24 * 3600 * 1000);  // nothing is written at that time
    Backup(db.get(), Open(&clock).get());
    ASSERT_OK(db->Close());
    clock.JumpWallMs(-days * 24 * 3600 * 1000);
    db = OpenDb(&clock, "/db");
    history.Use(db.get());
    history.Steps(10);
    history.Put();
    Backup(db.get(), Open(&clock).get());
    Expect(&clock, history, {}, history.last());
    Prune(&clock, 1);
    Expect(&clock, history, {}, history.last());
    PruneReport report;
    ASSERT_OK(PruneTarget(&clock, Open(&clock).get(), {0, 1000}, {}, &report));
    Expect(&clock, history, {}, history.last());
    ASSERT_OK(db->Close());
  }
}

void company__a_pruning_bears_a_backup_at_every_call(void**) {
  const auto prune = [](Scene* s, Target* t) {
    PruneReport report;
    ASSERT_OK(PruneTarget(s->vfs.get(), t, {1, 0}, {}, &report));
  };
  Interrupt(
      "prune, backup",
      [&](Scene* s, Target* t) {
        prune(s, t);
        Backup(s->db.get(), Open(s->vfs.get()).get());
      },
      [](Scene* s) { Backup(s->db.get(), Open(s->vfs.get()).get()); });
  Interrupt(
      "prune, prune",
      [&](Scene* s, Target* t) {
        prune(s, t);
        Backup(s->db.get(), Open(s->vfs.get()).get());
      },
      [](Scene* s) { Prune(s->vfs.get(), 2); });
}

// The pruning dies at a call, a backup follows, then another pruning. Who dies at a call that only
// looks leaves what one leaves who dies at the next change, so that those are enough.
void company__a_dead_prunings_mark_is_heeded_and_taken_over(void**) {
  const uint64_t seed = Seed("dead prune");
  uint64_t failed = 0;
  for (uint64_t n = 1;; ++n) {
    Scene scene(seed);
    FaultVfs faults(scene.vfs.get());
    faults.Fail({kFaultChanging, n, EIO, true});
    auto target = OpenTarget(&faults, kTarget, false);
    PruneReport report;
    Status s =
        target.ok() ? PruneTarget(&faults, target->get(), {1, 0}, {}, &report) : target.status();
    if (faults.failures() == 0) {
      ASSERT_OK(s);
      break;
    }
    ++failed;
    ExpectAll(scene.vfs.get(), scene.history);
    Backup(scene.db.get(), Open(scene.vfs.get()).get());
    ExpectAll(scene.vfs.get(), scene.history);
    Prune(scene.vfs.get(), 1);
    Expect(scene.vfs.get(), scene.history, {}, scene.history.last());
    auto catalog = Catalog::Load(Open(scene.vfs.get()).get(), Catalog::Part::kWhole);
    ASSERT_OK(catalog.status());
    assert_int_equal(catalog->prunes.size(), 0);
  }
  assert_true(failed > 10);
}

void company__a_restore_bears_a_pruning_at_every_call(void**) {
  const uint64_t seed = Seed("restore, prune");
  for (uint64_t n = 1;; ++n) {
    Scene scene(seed);
    bool hit = false;
    const Sequence newest = Backup(scene.db.get(), Open(scene.vfs.get()).get());
    scene.history.Steps(30);
    scene.history.Put();
    auto target = Interrupted(Open(scene.vfs.get()), n, [&] {
      hit = true;
      Backup(scene.db.get(), Open(scene.vfs.get()).get());
      Prune(scene.vfs.get(), 1);
    });
    auto memory = NewMemoryVfs();
    Sequence seq = 0;
    // Newest then or newest now: either; a given one may have gone, which is said.
    ASSERT_OK(RestoreBackup(target.get(), memory.get(), "/copy", {}, {}, &seq));
    assert_true(seq == newest || seq == scene.history.last());
    ASSERT_SLICE(DumpAt(memory.get(), "/copy"), scene.history.At(seq));
    if (!hit) break;
  }
}

// A stream's base copies against prunings at every call of its base thread and its shipper.
void company__a_stream_bears_a_pruning_at_every_call(void**) {
  const uint64_t seed = Seed("stream, prune");
  const uint64_t stride = 3 * Stride();
  for (uint64_t n = 1 + seed % stride; n < 90; n += stride) {
    Scene scene(seed);
    StreamOptions options;
    options.interval_us = 1000;
    options.base_bytes_min = 3000;
    options.base_percent = 1;
    auto hooked = Interrupted(Open(scene.vfs.get()), n, [&] { Prune(scene.vfs.get(), 1); });
    auto stream = Stream::Start(scene.db.get(), std::move(hooked), options);
    ASSERT_OK(stream.status());
    for (int i = 0; i < 4; ++i) {
      scene.history.Steps(15);
      scene.history.Put();
      ASSERT_OK(scene.db->Flush());
      ASSERT_OK((*stream)->Wait(scene.history.last(), kPatienceMs));
      Expect(scene.vfs.get(), scene.history, {}, scene.history.last());
    }
    assert_int_equal((*stream)->GetInfo().errors, 0);
    stream->reset();  // a pruning of one of its last calls would come between list and look
    ExpectAll(scene.vfs.get(), scene.history);
  }
}

// Who has written may not be pruned away beneath; who has gone may.
void company__a_streams_generation_stays_while_it_is_claimed(void**) {
  Scene scene(Seed("claimed"));
  StreamOptions options;
  options.interval_us = 1000;
  auto stream = Stream::Start(scene.db.get(), Open(scene.vfs.get()), options);
  ASSERT_OK(stream.status());
  scene.history.Steps(10);
  ASSERT_OK((*stream)->Wait(scene.history.last(), kPatienceMs));
  const Sequence streamed = scene.history.last();
  for (int i = 0; i < 4; ++i) {
    scene.history.Put();
    Backup(scene.db.get(), Open(scene.vfs.get()).get());
  }
  Prune(scene.vfs.get(), 1);
  Expect(scene.vfs.get(), scene.history, {streamed, 0}, streamed);
  ASSERT_OK((*stream)->Wait(scene.history.last(), kPatienceMs));
  Expect(scene.vfs.get(), scene.history, {}, scene.history.last());
  stream->reset();
  scene.history.Put();
  Backup(scene.db.get(), Open(scene.vfs.get()).get());
  Prune(scene.vfs.get(), 1);
  auto catalog = Catalog::Load(Open(scene.vfs.get()).get(), Catalog::Part::kWhole);
  ASSERT_OK(catalog.status());
  assert_int_equal(catalog->claims.size(), 0);
  uint64_t bases = 0;
  for (const auto& [number, g] : catalog->generations) bases += g.bases.size();
  assert_int_equal(bases, 1);
  // The next stream begins anew, also where the generation it would go on with has gone.
  stream = Stream::Start(scene.db.get(), Open(scene.vfs.get()), options);
  ASSERT_OK(stream.status());
  scene.history.Put();
  ASSERT_OK((*stream)->Wait(scene.history.last(), kPatienceMs));
  Expect(scene.vfs.get(), scene.history, {}, scene.history.last());
  stream->reset();
}

// ---- all of it at once

struct Crowd {
  std::unique_ptr<Vfs> vfs = NewMemoryVfs();
  std::unique_ptr<Db> db;
  std::unique_ptr<Stream> stream;
  Mutex mutex;
  CommitHistory* history KIST_GUARDED_BY(mutex) = nullptr;
  std::atomic<Sequence> sure{0};  // shipped or backed up: newest is no older from now on
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> restored{0}, refused{0}, pruned{0}, backed_up{0};

  void RaiseSure(Sequence seq) {
    Sequence have = sure.load();
    while (have < seq && !sure.compare_exchange_weak(have, seq)) {
    }
  }
  void Backups() {
    while (!stop.load()) {
      RaiseSure(Backup(db.get(), Open(vfs.get()).get()));
      ++backed_up;
      vfs->SleepUs(3000);
    }
  }
  void Prunes(uint64_t seed) {
    Rng rng(seed);
    while (!stop.load()) {
      Prune(vfs.get(), 1 + rng.Below(4));
      ++pruned;
      vfs->SleepUs(2000);
    }
  }
  void Restores(uint64_t seed) {
    Rng rng(seed);
    while (!stop.load()) {
      const Sequence sure_before = sure.load();
      RestorePoint point;
      const uint64_t dice = rng.Below(3);
      if (dice == 1 && sure_before != 0)
        point.seq = 1 + sure_before - std::min(sure_before, rng.Below(60));
      if (dice == 2) point.time_ms = db->NowMs() - static_cast<int64_t>(rng.Below(50));
      auto memory = NewMemoryVfs();
      Sequence seq = 0;
      Status s = RestoreBackup(Open(vfs.get()).get(), memory.get(), "/copy", point, {}, &seq);
      if (!s.ok()) {
        if (!s.Is(Code::kMissing)) fail_msg("restore: %s", s.ToString().c_str());
        // What is older may have been pruned away.
        if (dice == 0 && sure_before != 0) fail_msg("newest: %s", s.ToString().c_str());
        ++refused;
        continue;
      }
      ++restored;
      if (dice == 1) assert_int_equal(seq, point.seq != 0 ? point.seq : seq);
      if (dice == 0) assert_true(seq >= sure_before);
      const std::string dump = DumpAt(memory.get(), "/copy");
      MutexLock lock(&mutex);
      ASSERT_SLICE(dump, history->At(seq));
    }
  }
};

void company__all_at_once_against_a_model(void**) {
  const uint64_t seed = Seed("crowd");
  Crowd crowd;
  crowd.db = OpenDb(crowd.vfs.get(), "/db");
  CommitHistory history(seed);
  history.Use(crowd.db.get());
  {
    MutexLock lock(&crowd.mutex);
    crowd.history = &history;
    history.Steps(20);
  }
  StreamOptions options;
  options.interval_us = 1500;
  options.base_bytes_min = 20000;
  options.base_percent = 1;
  auto stream = Stream::Start(crowd.db.get(), Open(crowd.vfs.get()), options);
  ASSERT_OK(stream.status());
  std::vector<std::thread> threads;
  threads.emplace_back([&] { crowd.Backups(); });
  threads.emplace_back([&] { crowd.Prunes(seed + 1); });
  threads.emplace_back([&] { crowd.Restores(seed + 2); });
  threads.emplace_back([&] { crowd.Restores(seed + 3); });
  const int rounds = std::getenv("KIST_TEST_QUICK") != nullptr ? 20 : 60;
  for (int i = 0; i < rounds; ++i) {
    Sequence last = 0;
    {
      MutexLock lock(&crowd.mutex);
      history.Steps(12);
      last = history.last();
    }
    crowd.vfs->SleepUs(2000);
    if (i % 2 == 0) {
      ASSERT_OK((*stream)->Wait(last, kPatienceMs));
      crowd.RaiseSure(last);
    }
    if (i % 10 == 9) {  // an orderly end; the next one goes on, or begins anew where it must
      ASSERT_OK((*stream)->Wait(last, kPatienceMs, (*stream)->TurnsAfterNow()));
      stream->reset();
      stream = Stream::Start(crowd.db.get(), Open(crowd.vfs.get()), options);
      ASSERT_OK(stream.status());
    }
  }
  crowd.stop.store(true);
  for (std::thread& t : threads) t.join();
  ASSERT_OK((*stream)->Wait(history.last(), kPatienceMs));
  Expect(crowd.vfs.get(), history, {}, history.last());
  Expect(crowd.vfs.get(), history, {history.last(), 0}, history.last());
  ExpectAll(crowd.vfs.get(), history);
  stream->reset();
  ASSERT_OK(crowd.db->Close());
  std::printf("crowd: %d backups, %d prunings, %d restores, %d of what was pruned\n",
              static_cast<int>(crowd.backed_up), static_cast<int>(crowd.pruned),
              static_cast<int>(crowd.restored), static_cast<int>(crowd.refused));
  assert_true(crowd.restored > 0 && crowd.pruned > 0 && crowd.backed_up > 0);
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(company__a_backup_bears_a_pruning_at_every_call),
      cmocka_unit_test(company__a_pruning_bears_a_backup_at_every_call),
      cmocka_unit_test(company__a_pruning_whose_clock_is_ahead),
      cmocka_unit_test(company__a_clock_that_goes_back),
      cmocka_unit_test(company__a_dead_prunings_mark_is_heeded_and_taken_over),
      cmocka_unit_test(company__a_restore_bears_a_pruning_at_every_call),
      cmocka_unit_test(company__a_stream_bears_a_pruning_at_every_call),
      cmocka_unit_test(company__a_streams_generation_stays_while_it_is_claimed),
      cmocka_unit_test(company__all_at_once_against_a_model),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
