// Streams on a directory target: every commit comes back, generations go on or begin anew as they
// should, and nothing that happens to the target stops a writer.
#include "backup/stream.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "backup/backup.h"
#include "backup/checkpoint.h"
#include "backup/prune.h"
#include "support/copies_fixture.h"
#include "support/fault_vfs.h"

namespace kist::test {
namespace {

StreamOptions Fast() {
  StreamOptions o;
  o.interval_us = 2000;
  return o;
}

std::unique_ptr<Stream> StartOn(Db* db, Vfs* target_vfs, const StreamOptions& options) {
  auto stream = Stream::Start(db, Open(target_vfs), options);
  ASSERT_OK(stream.status());
  return stream.Take();
}

Catalog Load(Vfs* vfs) {
  auto catalog = Catalog::Load(Open(vfs, false).get(), Catalog::Part::kWhole);
  ASSERT_OK(catalog.status());
  return catalog.Take();
}

// The issue's own sentence: restore after every increment of a random history equals the model.
void stream__every_commit_comes_back(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  CommitHistory history(Seed("every commit"));
  history.Use(db.get());
  history.Steps(40);
  StreamOptions options = Fast();
  options.base_bytes_min = 30000;  // several bases in the course of it
  options.base_percent = 1;
  auto stream = StartOn(db.get(), vfs.get(), options);
  const Sequence first = history.last();
  for (int i = 0; i < 250; ++i) {
    history.Step();
    if (history.rng().OneIn(3)) {
      ASSERT_OK(stream->Wait(history.last(), kPatienceMs));
      assert_true(stream->GetInfo().shipped_seq >= history.last());
    }
    if (i % 50 == 25) {
      ASSERT_OK(stream->Wait(history.last(), kPatienceMs));
      Expect(vfs.get(), history, {}, history.last());
    }
  }
  ASSERT_OK(stream->Wait(history.last(), kPatienceMs));
  assert_int_equal(stream->GetInfo().errors, 0);
  stream.reset();
  const Catalog catalog = Load(vfs.get());
  assert_int_equal(catalog.generations.size(), 1);
  assert_true(catalog.generations.begin()->second.bases.size() > 1);
  for (const auto& [seq, state] : history.states()) {
    if (seq >= first) Expect(vfs.get(), history, {seq, 0}, seq);
  }
  ASSERT_OK(db->Close());
}

// A quiet database fills no memtable and no ratio, but a restore must not take a day of small
// ranges; also where the stream is begun anew for each of them.
void stream__many_small_ranges_get_a_base(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  CommitHistory history(Seed("many ranges"));
  history.Use(db.get());
  StreamOptions options = Fast();
  options.base_ranges = 20;
  auto stream = StartOn(db.get(), vfs.get(), options);
  size_t bases = 0;
  for (int i = 0; bases < 6; ++i) {
    assert_true(i < 5000);
    history.Put();
    ASSERT_OK(stream->Wait(history.last(), kPatienceMs));
    const Catalog catalog = Load(vfs.get());
    assert_int_equal(catalog.generations.size(), 1);
    const CatalogGeneration& g = catalog.generations.begin()->second;
    bases = g.bases.size();
    assert_true(bases == 1 || g.ranges.size() >= 20 * (bases - 1));
    if (bases >= 3) {
      stream.reset();
      stream = StartOn(db.get(), vfs.get(), options);
    }
  }
  stream.reset();
  Expect(vfs.get(), history, {}, history.last());
  for (Sequence seq = 1; seq <= history.last(); seq += 7) Expect(vfs.get(), history, {seq, 0}, seq);
  ASSERT_OK(db->Close());
}

void stream__goes_on_after_an_orderly_end(void**) {
  auto vfs = NewMemoryVfs();
  CommitHistory history(Seed("goes on"));
  for (int run = 0; run < 4; ++run) {
    auto db = OpenDb(vfs.get(), "/db");
    history.Use(db.get());
    auto stream = StartOn(db.get(), vfs.get(), Fast());
    if (run != 2) history.Steps(60);  // the third one writes nothing
    ASSERT_OK(stream->Wait(db->last_seq(), kPatienceMs, stream->TurnsAfterNow()));
    stream.reset();
    ASSERT_OK(db->Close());
    assert_int_equal(Load(vfs.get()).generations.size(), 1);
    Expect(vfs.get(), history, {}, history.last());
  }
  const Sequence first = Load(vfs.get()).generations.begin()->second.bases.begin()->first;
  for (const auto& [seq, state] : history.states()) {
    if (seq > first && history.rng().OneIn(4)) Expect(vfs.get(), history, {seq, 0}, seq);
  }
}

// What was not shipped when the database closed is gone from its log: a gap, so a new generation;
// with a retention that reaches back it is shipped after all.
void stream__a_gap_begins_a_generation(void**) {
  for (const bool retained : {false, true}) {
    auto vfs = NewMemoryVfs();
    const std::string options = retained ? "log_retention=64MiB" : "";
    CommitHistory history(Seed("gap"));
    auto db = OpenDb(vfs.get(), "/db", options);
    history.Use(db.get());
    auto stream = StartOn(db.get(), vfs.get(), Fast());
    history.Steps(50);
    ASSERT_OK(stream->Wait(history.last(), kPatienceMs, stream->TurnsAfterNow()));
    stream.reset();
    const Sequence shipped = history.last();
    history.Steps(50);
    ASSERT_OK(db->Close());
    db = OpenDb(vfs.get(), "/db", options);
    history.Use(db.get());
    stream = StartOn(db.get(), vfs.get(), Fast());
    history.Steps(50);
    ASSERT_OK(stream->Wait(history.last(), kPatienceMs));
    stream.reset();
    assert_int_equal(Load(vfs.get()).generations.size(), retained ? 1 : 2);
    Expect(vfs.get(), history, {}, history.last());
    Expect(vfs.get(), history, {shipped, 0}, shipped);
    ASSERT_OK(db->Close());
  }
}

void stream__writers_go_on_while_the_target_is_away(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  CommitHistory history(Seed("away"));
  history.Use(db.get());
  FaultVfs away(vfs.get());
  auto stream = StartOn(db.get(), &away, Fast());
  history.Steps(50);
  ASSERT_OK(stream->Wait(history.last(), kPatienceMs));
  for (const int error : {EIO, ENOSPC, EHOSTUNREACH}) {
    away.Fail({kFaultAll & ~static_cast<uint32_t>(kFaultThread), 1, error, true});
    history.Steps(60);
    ASSERT_CODE(stream->Wait(history.last(), 30), Code::kTimeout);
    while (stream->GetInfo().state != Stream::State::kRetrying) vfs->SleepUs(1000);
    const Stream::Info info = stream->GetInfo();
    assert_true(info.errors > 0 && info.lag_bytes > 0 && info.shipped_seq < history.last());
    assert_true(stream->Trouble().find(std::strerror(error)) != std::string::npos);
    ASSERT_SLICE(Dump(db.get()), history.At(history.last()));
    away.Heal();
    ASSERT_OK(stream->Wait(history.last(), kPatienceMs));
    while (stream->GetInfo().state != Stream::State::kRunning) vfs->SleepUs(1000);
    while (stream->GetInfo().lag_bytes != 0) vfs->SleepUs(1000);
    while (!stream->Trouble().empty()) vfs->SleepUs(1000);
  }
  stream.reset();
  assert_int_equal(Load(vfs.get()).generations.size(), 1);
  Expect(vfs.get(), history, {}, history.last());
  ASSERT_OK(db->Close());
}

void stream__lets_the_log_go_beyond_its_limit(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  CommitHistory history(Seed("limit"));
  history.Use(db.get());
  FaultVfs away(vfs.get());
  StreamOptions options = Fast();
  options.log_bytes_max = 100000;
  auto stream = StartOn(db.get(), &away, options);
  history.Steps(50);
  ASSERT_OK(stream->Wait(history.last(), kPatienceMs));
  const Sequence before = history.last();
  away.Fail({kFaultAll & ~static_cast<uint32_t>(kFaultThread), 1, EIO, true});
  for (int i = 0; db->LogExtents().size() < 6; ++i) {  // far below the limit, beyond which they go
    assert_true(i < 100);
    history.Steps(20);
    ASSERT_OK(db->Flush());
  }
  // A turn notices; from then on flushes take the log away again.
  for (int i = 0; i < 2000 && db->LogExtents().size() > 3; ++i) {
    vfs->SleepUs(10000);
    history.Steps(5);
    ASSERT_OK(db->Flush());
  }
  assert_true(db->LogExtents().size() <= 3);
  away.Heal();
  history.Steps(5);
  ASSERT_OK(stream->Wait(history.last(), kPatienceMs));
  stream.reset();
  assert_int_equal(Load(vfs.get()).generations.size(), 2);
  Expect(vfs.get(), history, {}, history.last());
  Expect(vfs.get(), history, {before, 0}, before);
  ASSERT_OK(db->Close());
}

// Ranges go out, but nothing can be restored: the stream says that it is in trouble, and which.
void stream__tells_of_a_base_that_fails(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  CommitHistory history(Seed("full"));
  history.Use(db.get());
  history.Put();
  ASSERT_OK(db->Flush());
  std::atomic<bool> full{true};
  auto target = std::make_unique<HookTarget>(
      Open(vfs.get()), [&full](HookTarget::Call call, const std::string& name) {
        const bool refused =
            full.load() && call == HookTarget::Call::kPut && name.compare(0, 7, "tables/") == 0;
        return refused ? Status::Error(Code::kNoSpace, "the target is full") : Status();
      });
  auto stream = Stream::Start(db.get(), std::move(target), Fast());
  ASSERT_OK(stream.status());
  history.Put();
  while ((*stream)->Trouble().find("the target is full") == std::string::npos) vfs->SleepUs(1000);
  assert_true((*stream)->GetInfo().state == Stream::State::kRetrying);
  assert_true((*stream)->GetInfo().errors > 0);
  ASSERT_CODE((*stream)->Wait(history.last(), 30), Code::kTimeout);
  full.store(false);
  ASSERT_OK((*stream)->Wait(history.last(), kPatienceMs));
  while (!(*stream)->Trouble().empty()) vfs->SleepUs(1000);
  assert_true((*stream)->GetInfo().state == Stream::State::kRunning);
  stream->reset();
  Expect(vfs.get(), history, {}, history.last());
  ASSERT_OK(db->Close());
}

// A call that does not return for long: the database lets the log go by itself.
void stream__a_call_that_hangs_holds_no_more_than_the_limit(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  CommitHistory history(Seed("hang"));
  history.Use(db.get());
  std::atomic<bool> hang{false};
  StreamOptions options = Fast();
  options.log_bytes_max = 300000;
  auto target = std::make_unique<HookTarget>(
      Open(vfs.get()), [&hang](HookTarget::Call call, const std::string&) {
        while (call == HookTarget::Call::kPut && hang.load())
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return Status();
      });
  auto stream = Stream::Start(db.get(), std::move(target), options);
  ASSERT_OK(stream.status());
  history.Steps(50);
  ASSERT_OK((*stream)->Wait(history.last(), kPatienceMs));
  const Sequence before = history.last();
  hang.store(true);
  size_t most = 0;
  for (int i = 0; i < 60; ++i) {
    for (int k = 0; k < 100; ++k) history.Put();
    ASSERT_OK(db->Flush());
    most = std::max(most, db->LogExtents().size());
  }
  // Each segment holds about 10 kB: many are held, then all go, and none is held from then on.
  assert_true(most > 6);
  assert_true(db->LogExtents().size() <= 3);
  ASSERT_CODE((*stream)->Wait(history.last(), 30), Code::kTimeout);
  hang.store(false);
  ASSERT_OK((*stream)->Wait(history.last(), kPatienceMs));
  stream->reset();
  assert_int_equal(Load(vfs.get()).generations.size(), 2);
  Expect(vfs.get(), history, {}, history.last());
  Expect(vfs.get(), history, {before, 0}, before);
  ASSERT_OK(db->Close());
}

// Two databases of one origin, each with a stream to the same target, in turns.
void stream__rivals_never_mix(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  CommitHistory history(Seed("rivals"));
  history.Use(db.get());
  history.Steps(30);
  auto stream = StartOn(db.get(), vfs.get(), Fast());
  ASSERT_OK(stream->Wait(history.last(), kPatienceMs));
  ASSERT_OK(MakeCheckpoint(db.get(), vfs.get(), "/twin", nullptr));
  auto twin = OpenDb(vfs.get(), "/twin");
  CommitHistory other = history;
  other.Use(twin.get());
  auto rival = StartOn(twin.get(), vfs.get(), Fast());
  for (int i = 0; i < 6; ++i) {
    history.Steps(15);
    ASSERT_OK(stream->Wait(history.last(), kPatienceMs));
    vfs->SleepUs(5000);  // the newest is told by time
    other.rng().Next();
    other.Steps(11);
    ASSERT_OK(rival->Wait(other.last(), kPatienceMs));
    Expect(vfs.get(), other, {}, other.last());
  }
  stream.reset();
  rival.reset();
  const Catalog catalog = Load(vfs.get());
  assert_true(catalog.generations.size() >= 2);
  ASSERT_OK(twin->Close());
  ASSERT_OK(db->Close());
}

// Every range and base dropped, doubled, swapped with its neighbour, or replaced by what stands
// under the same name in the target of a twin with a history of its own: a restore of any commit
// gives that commit of this history or names the object that is wrong.
void stream__refuses_objects_out_of_place(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  CommitHistory history(Seed("out of place"));
  history.Use(db.get());
  history.Steps(30);
  ASSERT_OK(MakeCheckpoint(db.get(), vfs.get(), "/twin", nullptr));
  auto twin = OpenDb(vfs.get(), "/twin");
  CommitHistory other = history;
  other.Use(twin.get());
  other.rng().Next();
  auto stream = StartOn(db.get(), vfs.get(), Fast());
  auto rival = Stream::Start(twin.get(), OpenTarget(vfs.get(), "/other", true).Take(), Fast());
  ASSERT_OK(rival.status());
  const Sequence first = history.last();
  for (int i = 0; i < 8; ++i) {
    history.Steps(4);
    history.Put();
    ASSERT_OK(stream->Wait(history.last(), kPatienceMs));
    other.Steps(4);
    other.Put();
    ASSERT_OK((*rival)->Wait(other.last(), kPatienceMs));
  }
  stream.reset();
  rival->reset();
  ASSERT_OK(twin->Close());
  ASSERT_OK(db->Close());
  const auto path = [](const std::string& name) { return std::string(kTarget) + "/" + name; };
  const auto write = [&](const std::string& name, const std::string& bytes) {
    auto file = vfs->Open(path(name), OpenMode::kCreateOrTruncate);
    ASSERT_OK((*file)->Write(0, bytes));
  };
  uint64_t refused = 0, given = 0;
  const auto judge = [&](const std::string& what) {
    for (const Sequence want : {Sequence{0}, first + history.rng().Below(history.last() - first)}) {
      auto memory = NewMemoryVfs();
      Sequence seq = 0;
      auto target = OpenTarget(vfs.get(), kTarget, false);
      Status s = RestoreBackup(target->get(), memory.get(), "/at", {want, 0}, {}, &seq);
      if (s.ok()) {
        ++given;
        if (want != 0) assert_int_equal(seq, want);
        ASSERT_SLICE(DumpAt(memory.get(), "/at"), history.At(seq));
        continue;
      }
      ++refused;
      // A last range that is gone leaves a shorter history, which lacks what was asked for.
      const bool named = s.message().find(path("generations/")) != std::string::npos ||
                         s.message().find(path("tables/")) != std::string::npos ||
                         s.Is(Code::kMissing);
      if (!named) fail_msg("%s: %s", what.c_str(), s.ToString().c_str());
    }
  };
  std::vector<std::string> names;
  const auto objects = OpenTarget(vfs.get(), kTarget, false).Take()->List("generations/");
  ASSERT_OK(objects.status());
  for (const ObjectInfo& o : *objects) {
    if (o.name.find("start") == std::string::npos) names.push_back(o.name);
  }
  assert_true(names.size() > 8);
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string whole = ReadFile(vfs.get(), path(names[i])).Take();
    auto foreign = ReadFile(vfs.get(), "/other/" + names[i]);
    if (foreign.ok()) {
      write(names[i], *foreign);
      judge("another history's " + names[i]);
    }
    if (i + 1 < names.size()) {
      const std::string next = ReadFile(vfs.get(), path(names[i + 1])).Take();
      write(names[i], next);
      judge("doubled " + names[i]);
      write(names[i + 1], whole);
      judge("swapped " + names[i]);
      write(names[i + 1], next);
    }
    ASSERT_OK(vfs->Remove(path(names[i])));
    judge("dropped " + names[i]);
    write(names[i], whole);
  }
  assert_true(refused > names.size() && given > 0);
  Expect(vfs.get(), history, {}, history.last());
}

void stream__fails_for_good_where_it_must(void**) {
  auto vfs = NewMemoryVfs();
  FaultVfs disk(vfs.get());
  auto db = OpenDb(&disk, "/db");
  auto stream = StartOn(db.get(), vfs.get(), Fast());
  disk.Fail({
      kFaultSync,
      1,
      EIO,
      true,
  });
  auto ks = db->DefaultKeyspace();
  static_cast<void>(db->Put(ks.get(), Durability::kSync, "k", "v", 0, nullptr).ok());
  while (stream->GetInfo().state != Stream::State::kFailed) vfs->SleepUs(1000);
  disk.Heal();
  stream.reset();
  ks = RefPtr<Keyspace>();
  static_cast<void>(db->Close().ok());
  auto stranger = OpenDb(vfs.get(), "/stranger");
  auto target = OpenTarget(vfs.get(), kTarget, true);
  ASSERT_CODE(Stream::Start(stranger.get(), target.Take(), Fast()), Code::kExists);
  ASSERT_OK(stranger->Close());
}

// Pruning beside a live stream and backups beside it.
void stream__lives_with_backups_and_pruning(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  CommitHistory history(Seed("company"));
  history.Use(db.get());
  StreamOptions options = Fast();
  options.base_bytes_min = 20000;
  options.base_percent = 1;
  auto stream = StartOn(db.get(), vfs.get(), options);
  for (int i = 0; i < 12; ++i) {
    history.Steps(40);
    auto target = OpenTarget(vfs.get(), kTarget, true);
    if (i % 3 == 0) {
      ASSERT_OK(MakeBackup(db.get(), target->get(), {}, nullptr));
    }
    ASSERT_OK(stream->Wait(history.last(), kPatienceMs));
    PruneReport report;
    ASSERT_OK(PruneTarget(vfs.get(), target->get(), {2, 0}, {}, &report));
    Expect(vfs.get(), history, {}, history.last());
    Expect(vfs.get(), history, {history.last(), 0}, history.last());
  }
  stream.reset();
  ASSERT_OK(db->Close());
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(stream__every_commit_comes_back),
      cmocka_unit_test(stream__many_small_ranges_get_a_base),
      cmocka_unit_test(stream__goes_on_after_an_orderly_end),
      cmocka_unit_test(stream__a_gap_begins_a_generation),
      cmocka_unit_test(stream__writers_go_on_while_the_target_is_away),
      cmocka_unit_test(stream__lets_the_log_go_beyond_its_limit),
      cmocka_unit_test(stream__tells_of_a_base_that_fails),
      cmocka_unit_test(stream__a_call_that_hangs_holds_no_more_than_the_limit),
      cmocka_unit_test(stream__rivals_never_mix),
      cmocka_unit_test(stream__refuses_objects_out_of_place),
      cmocka_unit_test(stream__fails_for_good_where_it_must),
      cmocka_unit_test(stream__lives_with_backups_and_pruning),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
