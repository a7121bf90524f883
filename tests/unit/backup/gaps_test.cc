// What fails, or what others do, between two steps of a copy that belong together. What the target
// is said to hold can be restored all the same (promise G19).
//
// Where the other side is a call, it runs inside the one that lies in the gap.
// Threads: as the copies themselves.
#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "backup/backup.h"
#include "backup/log_tail.h"
#include "backup/prune.h"
#include "backup/stream.h"
#include "support/clock_vfs.h"
#include "support/copies_fixture.h"
#include "support/crash_states.h"
#include "support/fault_vfs.h"

namespace kist::test {
namespace {

using Call = HookTarget::Call;

StreamOptions Fast() {
  StreamOptions o;
  o.interval_us = 2000;
  return o;
}

// One commit of many bytes, so that a piece of the log is read in several steps.
void PutLong(Db* db, Rng* rng) {
  auto ks = db->DefaultKeyspace();
  ASSERT_OK(db->Put(ks.get(), Durability::kOs, "k" + std::to_string(rng->Below(40)),
                    rng->Bytes(40000), 0, nullptr));
}

// A log of several segments, each longer than what is read at once. Whichever call to its files
// fails, the pieces that are handed out follow one another, and hold what stands there.
void gaps__a_log_is_handed_out_whole_whatever_read_fails(void**) {
  auto memory = NewMemoryVfs();
  FaultVfs vfs(memory.get());
  auto db = OpenDb(&vfs, "/db", "memory_budget=64MiB; write_buffer_size=4MiB; compaction=manual");
  auto hold = db->HoldLog();
  ASSERT_OK(hold.status());
  Rng rng(Seed("log reads"));
  for (int segment = 0; segment < 3; ++segment) {
    for (int i = 0; i < 20; ++i) PutLong(db.get(), &rng);
    if (segment < 2) ASSERT_OK(db->Flush());
  }
  ASSERT_OK(db->Sync());
  const uint64_t first = db->LogExtents().front().number;
  std::map<uint64_t, std::string> whole;  // by segment
  for (uint64_t n = 0;; ++n) {            // 0: none fails
    Fault fault(kFaultRead | kFaultOpen | kFaultSize, n, EIO);
    fault.path_contains = ".log";
    vfs.Heal();
    if (n != 0) vfs.Fail(fault);
    const uint64_t before = vfs.failures();
    std::map<uint64_t, std::string> got_all;
    LogTail tail(db.get());
    Status s = tail.Start(first);
    if (!s.ok()) s = tail.Start(first);
    ASSERT_OK(s);
    for (bool got = true; got;) {
      LogPiece piece;
      s = tail.Next(db->durable_seq(), uint64_t{1} << 20, &piece, &got);
      if (!s.ok()) {
        ASSERT_CODE(s, Code::kIo);
        got = true;
        continue;
      }
      if (!got) break;
      std::string& to = got_all[piece.info.id];
      assert_int_equal(piece.position, to.size());
      to += piece.bytes;
    }
    if (n == 0) whole = got_all;
    assert_true(got_all == whole);
    if (n == 0 || vfs.failures() > before) continue;
    assert_true(n > 20);
    break;
  }
  vfs.Heal();
  assert_int_equal(whole.size(), 3);
  hold->reset();
  ASSERT_OK(db->Close());
}

// The same, to the end: what the stream says is shipped comes back.
void gaps__a_stream_bears_reads_of_the_log_that_fail(void**) {
  uint64_t failures = 0;
  for (uint64_t n = 1; n < 20; n += 3) {
    auto memory = NewMemoryVfs();
    FaultVfs vfs(memory.get());
    auto db = OpenDb(&vfs, "/db", "memory_budget=64MiB; write_buffer_size=4MiB");
    Rng rng(Seed("stream reads") + n);
    for (int i = 0; i < 30; ++i) PutLong(db.get(), &rng);
    auto stream = Stream::Start(db.get(), Open(memory.get()), Fast());
    ASSERT_OK(stream.status());
    ASSERT_OK((*stream)->Wait(db->last_seq(), kPatienceMs));
    Fault fault(kFaultRead | kFaultOpen, n, EMFILE);
    fault.path_contains = ".log";
    vfs.Fail(fault);
    for (int i = 0; i < 30; ++i) PutLong(db.get(), &rng);
    ASSERT_OK(db->Flush());
    for (int i = 0; i < 30; ++i) PutLong(db.get(), &rng);
    ASSERT_OK((*stream)->Wait(db->last_seq(), kPatienceMs));
    vfs.Heal();
    failures += vfs.failures();
    stream->reset();
    Sequence seq = 0;
    auto target = Open(memory.get(), false);
    ASSERT_OK(RestoreBackup(target.get(), memory.get(), "/restored", {}, {}, &seq));
    assert_int_equal(seq, db->last_seq());
    ASSERT_SLICE(DumpAt(memory.get(), "/restored"), Dump(db.get()));
    ASSERT_OK(db->Close());
  }
  assert_true(failures > 0);
}

// Puts whose answer is lost once, so that the storage's client tries again: the second try finds
// what the first one has made.
class LostAnswers final : public Target {
 public:
  LostAnswers(std::unique_ptr<Target> base, std::string prefix)
      : Target(base->url()), base_(std::move(base)), prefix_(std::move(prefix)) {}
  Status Put(const std::string& name, ObjectSource* source) override {
    if (name.rfind(prefix_, 0) == 0 && tried_.insert(name).second)
      KIST_TRY(base_->Put(name, source));
    return base_->Put(name, source);
  }
  Result<size_t> Get(const std::string& name, uint64_t offset, char* buf, size_t n) override {
    return base_->Get(name, offset, buf, n);
  }
  Result<std::vector<ObjectInfo>> List(const std::string& prefix) override {
    return base_->List(prefix);
  }
  Status Delete(const std::string& name) override { return base_->Delete(name); }

 private:
  const std::unique_ptr<Target> base_;
  const std::string prefix_;
  std::set<std::string> tried_;
};

void gaps__an_answer_that_is_lost_was_a_success(void**) {
  for (const char* prefix : {"KIST", "claim-", "generations/", "tables/", ""}) {
    auto vfs = NewMemoryVfs();
    auto db = OpenDb(vfs.get(), "/db");
    CommitHistory history(Seed("lost answers"));
    history.Use(db.get());
    history.Steps(40);
    history.Put();
    ASSERT_OK(db->Flush());
    Sequence seq = 0;
    LostAnswers target(Open(vfs.get()), prefix);
    ASSERT_OK(MakeBackup(db.get(), &target, {}, &seq));
    Expect(vfs.get(), history, {}, seq);
    ASSERT_OK(db->Close());
  }
}

// A table is linked into the target's directory, and the sync of that directory fails: the stream
// finds the table there when it tries again.
void gaps__what_a_listing_shows_is_durable(void**) {
  auto memory = NewMemoryVfs();
  auto db = OpenDb(memory.get(), "/db");
  CommitHistory history(Seed("linked"));
  history.Use(db.get());
  for (int i = 0; i < 10; ++i) history.Put();
  ASSERT_OK(db->Flush());  // one table
  RecordingVfs disk;
  FaultVfs faults(&disk, true);
  auto target = Open(&faults);
  Fault fault(kFaultSyncDir, 1, EIO);
  fault.path_contains = "tables";
  fault.data_lost = true;
  faults.Fail(fault);
  auto stream = Stream::Start(db.get(), std::move(target), Fast());
  ASSERT_OK(stream.status());
  ASSERT_OK((*stream)->Wait(history.last(), kPatienceMs));
  stream->reset();
  assert_true(faults.failures() > 0);
  CrashOptions now;
  now.first_boundary = disk.op_count();
  const uint64_t states = CrashStates(disk.GetTrace(), now).ForEach([&](const CrashState& state) {
    Expect(state.MakeVfs().get(), history, {}, history.last());
    return true;
  });
  assert_true(states > 0);
  ASSERT_OK(db->Close());
}

// A backup ends at each sync of a directory of its generation, the last one with a listing that is
// not durable: a pruning keeps what a power cut leaves.
void gaps__a_pruning_keeps_what_is_durable(void**) {
  uint64_t failed = 0;
  for (uint64_t n = 1;; ++n) {
    auto memory = NewMemoryVfs();
    auto db = OpenDb(memory.get(), "/db");
    CommitHistory history(Seed("pruned"));
    history.Use(db.get());
    history.Steps(20);
    RecordingVfs disk;
    FaultVfs faults(&disk, true);
    Sequence first = 0;
    ASSERT_OK(MakeBackup(db.get(), Open(&faults).get(), {}, &first));
    history.Put();
    Fault fault(kFaultSyncDir, n, EIO);
    fault.path_contains = "generations";
    fault.data_lost = true;
    faults.Fail(fault);
    static_cast<void>(MakeBackup(db.get(), Open(&faults).get(), {}, nullptr).ok());
    faults.Heal();
    PruneReport report;
    ASSERT_OK(PruneTarget(&disk, Open(&disk, false).get(), {1, 0}, {}, &report));
    CrashOptions now;
    now.first_boundary = disk.op_count();
    CrashStates(disk.GetTrace(), now).ForEach([&](const CrashState& state) {
      auto left = state.MakeVfs();
      auto restored = NewMemoryVfs();
      Sequence seq = 0;
      ASSERT_OK(RestoreBackup(Open(left.get(), false).get(), restored.get(), "/at", {}, {}, &seq));
      assert_true(seq >= first);
      ASSERT_SLICE(DumpAt(restored.get(), "/at"), history.At(seq));
      return true;
    });
    ASSERT_OK(db->Close());
    if (faults.failures() == 0) break;
    ++failed;
  }
  assert_true(failed > 2);
}

// Another writer marks an empty target, and begins, between a look at the mark and a listing.
void gaps__two_begin_a_target_at_once(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  CommitHistory history(Seed("two begin"));
  history.Use(db.get());
  history.Steps(20);
  uint64_t listings = 0;
  HookTarget target(Open(vfs.get()), [&](Call call, const std::string&) {
    if (call != Call::kList || ++listings != 1) return Status();
    return MakeBackup(db.get(), Open(vfs.get()).get(), {}, nullptr);
  });
  ASSERT_OK(MakeBackup(db.get(), &target, {}, nullptr));
  assert_true(listings > 1);
  Expect(vfs.get(), history, {}, history.last());
  ASSERT_OK(db->Close());
}

// A database is restored as of an earlier commit and goes on, with a stream; then its clock is set
// back, behind the last backup of what it was before, and another backup ends at a commit number
// that the former history has too. Newest is what goes on from where the stream ended.
void gaps__the_newest_state_is_of_the_newest_history(void**) {
  auto memory = NewMemoryVfs();
  ClockVfs clock(memory.get());
  const std::string options = "wal_timestamps=false";  // which would keep the clock from going back
  CommitHistory former(Seed("histories"));
  auto db = OpenDb(&clock, "/db", options);
  former.Use(db.get());
  for (int i = 0; i < 10; ++i) former.Put();
  Sequence early = 0;
  ASSERT_OK(MakeBackup(db.get(), Open(&clock).get(), {}, &early));
  for (int i = 0; i < 40; ++i) former.Put();
  clock.AdvanceMs(10000);
  ASSERT_OK(MakeBackup(db.get(), Open(&clock).get(), {}, nullptr));
  ASSERT_OK(db->Close());

  clock.JumpWallMs(-9000);
  CommitHistory history = former;
  history.Rewind(early);
  history.rng().Next();
  ASSERT_OK(RestoreBackup(Open(&clock, false).get(), &clock, "/again", {early, 0}, {}, nullptr));
  db = OpenDb(&clock, "/again", options);
  history.Use(db.get());
  history.Put();
  auto stream = Stream::Start(db.get(), Open(&clock), Fast());
  ASSERT_OK(stream.status());
  ASSERT_OK((*stream)->Wait(history.last(), kPatienceMs));
  stream->reset();
  clock.JumpWallMs(20000);  // the stream's last range is of then
  history.Put();
  stream = Stream::Start(db.get(), Open(&clock), Fast());
  ASSERT_OK(stream.status());
  ASSERT_OK((*stream)->Wait(history.last(), kPatienceMs));
  stream->reset();
  ASSERT_OK(db->Close());

  clock.JumpWallMs(-19000);
  db = OpenDb(&clock, "/again", options);
  history.Use(db.get());
  for (int i = 0; i < 10; ++i) history.Put();
  assert_true(history.last() < former.last());
  ASSERT_OK(MakeBackup(db.get(), Open(&clock).get(), {}, nullptr));
  Expect(&clock, history, {}, history.last());
  Expect(&clock, history, {history.last() - 1, 0}, history.last() - 1);
  ASSERT_OK(db->Close());
}

// Random numbers that come again, until it is freed.
class RepeatedVfs final : public WrapVfs {
 public:
  using WrapVfs::WrapVfs;
  void Random(void* buf, size_t n) override {
    if (free_) return WrapVfs::Random(buf, n);
    const std::string bytes = rng_.Bytes(n);
    std::copy_n(bytes.data(), n, static_cast<char*>(buf));
  }
  void Free() { free_ = true; }

 private:
  Rng rng_{7};
  bool free_ = false;
};

// A machine is set back to an image of its memory: the database goes on in the segment that it had,
// with other commits of the same length where the target holds those that never happened.
void gaps__a_machine_that_is_set_back_begins_a_generation(void**) {
  auto memory = NewMemoryVfs();
  ASSERT_OK(OpenDb(memory.get(), "/db")->Close());
  auto image = NewMemoryVfs();
  ASSERT_OK(image->MakeDir("/db"));
  const auto names = memory->List("/db");
  ASSERT_OK(names);
  for (const std::string& name : *names) {
    auto file = image->Open("/db/" + name, OpenMode::kCreateNew);
    ASSERT_OK(file);
    ASSERT_OK((*file)->Write(0, *ReadFile(memory.get(), "/db/" + name)));
  }
  auto vfs = NewMemoryVfs();  // the target's
  std::string want;
  for (Vfs* disk : {memory.get(), image.get()}) {
    RepeatedVfs repeated(disk);
    auto db = OpenDb(&repeated, "/db");
    repeated.Free();
    for (int i = 0; i < 20; ++i) {
      auto ks = db->DefaultKeyspace();
      const std::string value = disk == memory.get() ? "never" : "truly";
      ASSERT_OK(db->Put(ks.get(), Durability::kOs, "k" + std::to_string(i), value, 0, nullptr));
      if (i == 9 && disk == memory.get()) break;
    }
    auto stream = Stream::Start(db.get(), Open(vfs.get()), Fast());
    ASSERT_OK(stream.status());
    ASSERT_OK((*stream)->Wait(db->last_seq(), kPatienceMs, (*stream)->TurnsAfterNow()));
    want = Dump(db.get());
    stream->reset();
    ASSERT_OK(db->Close());
  }
  auto catalog = Catalog::Load(Open(vfs.get(), false).get(), Catalog::Part::kStates);
  ASSERT_OK(catalog.status());
  assert_int_equal(catalog->generations.size(), 2);
  ASSERT_OK(RestoreBackup(Open(vfs.get(), false).get(), vfs.get(), "/at", {}, {}, nullptr));
  ASSERT_SLICE(DumpAt(vfs.get(), "/at"), want);
}

// The answer to a listing is lost, and a pruning whose clock is far ahead removes a table that it
// names, having looked before it came. The next try uploads the table anew, and the listing that is
// there names the old one.
class LostListing final : public Target {
 public:
  LostListing(Vfs* vfs, std::unique_ptr<Target> base)
      : Target(base->url()), vfs_(vfs), base_(std::move(base)) {}
  Status Put(const std::string& name, ObjectSource* source) override {
    if (name.find("base-") == std::string::npos || !armed.exchange(false))
      return base_->Put(name, source);
    bool put = false;
    HookTarget late(Open(vfs_), [&](Call call, const std::string&) {
      return call != Call::kDelete || std::exchange(put, true) ? Status()
                                                               : base_->Put(name, source);
    });
    ClockVfs ahead(vfs_, vfs_->WallMs() + int64_t{3652} * 24 * 3600 * 1000);
    PruneReport report;
    ASSERT_OK(PruneTarget(&ahead, &late, {1, 0}, {}, &report));
    assert_true(put);
    return Status::Error(Code::kIo, "the answer is lost");
  }
  Result<size_t> Get(const std::string& name, uint64_t offset, char* buf, size_t n) override {
    return base_->Get(name, offset, buf, n);
  }
  Result<std::vector<ObjectInfo>> List(const std::string& prefix) override {
    return base_->List(prefix);
  }
  Status Delete(const std::string& name) override { return base_->Delete(name); }
  std::atomic<bool> armed{false};

 private:
  Vfs* const vfs_;
  const std::unique_ptr<Target> base_;
};

void gaps__a_listing_whose_answer_is_lost_names_what_is_there(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db", "compaction=manual");
  CommitHistory history(Seed("listing"));
  history.Use(db.get());
  history.Put();
  ASSERT_OK(db->Flush());
  StreamOptions options = Fast();
  options.base_bytes_min = 1;
  options.base_percent = 1;
  auto target = std::make_unique<LostListing>(vfs.get(), Open(vfs.get()));
  std::atomic<bool>& armed = target->armed;
  auto stream = Stream::Start(db.get(), std::move(target), options);
  ASSERT_OK(stream.status());
  ASSERT_OK((*stream)->Wait(history.last(), kPatienceMs));
  armed.store(true);
  history.Put();
  ASSERT_OK(db->Flush());
  history.Put();
  while ((*stream)->GetInfo().errors == 0) vfs->SleepUs(1000);
  while (!(*stream)->Trouble().empty()) vfs->SleepUs(1000);
  ASSERT_OK((*stream)->Wait(history.last(), kPatienceMs));
  stream->reset();
  Expect(vfs.get(), history, {}, history.last());
  ASSERT_OK(db->Close());
}

// Somebody, or a rule of the storage, removes what the target holds. The stream finds out when it
// renews its claim; from then on nothing counts as shipped before the next base copy is there.
void gaps__what_was_removed_is_not_shipped(void**) {
  auto memory = NewMemoryVfs();
  ClockVfs clock(memory.get());
  std::atomic<bool> away{false}, end{false};
  std::thread time([&] {
    for (; !end.load(); std::this_thread::sleep_for(std::chrono::milliseconds(1)))
      clock.AdvanceMs(5);
  });
  auto db = OpenDb(&clock, "/db");
  CommitHistory history(Seed("removed"));
  history.Use(db.get());
  history.Put();
  ASSERT_OK(db->Flush());
  auto target =
      std::make_unique<HookTarget>(Open(memory.get()), [&](Call call, const std::string& name) {
        if (!away.load() || call != Call::kPut || name.find("base-") == std::string::npos)
          return Status();
        return Status::Error(Code::kIo, "away");
      });
  auto stream = Stream::Start(db.get(), std::move(target), Fast());
  ASSERT_OK(stream.status());
  ASSERT_OK((*stream)->Wait(history.last(), kPatienceMs));
  away.store(true);
  auto other = Open(memory.get());
  const auto objects = other->List("");
  ASSERT_OK(objects);
  for (const ObjectInfo& o : *objects) {
    if (o.name != "KIST-TARGET") ASSERT_OK(other->Delete(o.name));
  }
  clock.AdvanceMs(uint64_t{4} * 3600 * 1000);
  while ((*stream)->GetInfo().errors == 0) std::this_thread::yield();
  ASSERT_CODE((*stream)->Wait(history.last(), 50), Code::kTimeout);
  assert_int_equal((*stream)->GetInfo().shipped_seq, 0);
  away.store(false);
  ASSERT_OK((*stream)->Wait(history.last(), kPatienceMs));
  stream->reset();
  Expect(memory.get(), history, {}, history.last());
  ASSERT_OK(db->Close());
  end.store(true);
  time.join();
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(gaps__a_log_is_handed_out_whole_whatever_read_fails),
      cmocka_unit_test(gaps__a_stream_bears_reads_of_the_log_that_fail),
      cmocka_unit_test(gaps__an_answer_that_is_lost_was_a_success),
      cmocka_unit_test(gaps__what_a_listing_shows_is_durable),
      cmocka_unit_test(gaps__a_pruning_keeps_what_is_durable),
      cmocka_unit_test(gaps__two_begin_a_target_at_once),
      cmocka_unit_test(gaps__the_newest_state_is_of_the_newest_history),
      cmocka_unit_test(gaps__a_machine_that_is_set_back_begins_a_generation),
      cmocka_unit_test(gaps__a_listing_whose_answer_is_lost_names_what_is_there),
      cmocka_unit_test(gaps__what_was_removed_is_not_shipped),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
