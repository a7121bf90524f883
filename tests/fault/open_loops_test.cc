// Openings that are killed again and again (promise G22): however often and wherever, what they
// leave does not pile up and nothing is lost; recovery reads the log a fixed number of times.
#include "support/damage.h"
#include "support/fault_vfs.h"

namespace kist::test {
namespace {

constexpr Durability kSync = Durability::kSync;

bool Quick() { return std::getenv("KIST_TEST_QUICK") != nullptr; }

struct Directory {
  uint64_t files = 0;
  uint64_t bytes = 0;
};

Directory Measure(Vfs* vfs) {
  Directory d;
  for (const auto& [name, data] : FilesOf(vfs)) {
    ++d.files;
    d.bytes += data.size();
  }
  return d;
}

std::string HeldBy(Db* db) {
  std::string error;
  std::string held = Serialise(ReadAll(db, &error));
  assert_string_equal(error.c_str(), "");
  return held;
}

std::unique_ptr<Db> MustOpen(Vfs* vfs, const char* options = "") {
  auto opened = Db::Open(kDamageDir, DamageOptions(options), LogSink(), vfs);
  ASSERT_OK(opened);
  return opened.Take();
}

// A process that dies at its nth changing call: none from it on reaches the disk. True where its
// opening made fewer; `work` is done then.
template <typename Work>
bool DieAt(Vfs* base, uint64_t nth, Work work) {
  FaultVfs faults(base);
  faults.Fail({kFaultChanging, nth, EIO, true});
  auto opened = Db::Open(kDamageDir, DamageOptions(), LogSink(), &faults);
  const bool lived = opened.ok() && faults.failures() == 0;
  if (lived) {
    faults.Heal();
    work(opened->get());
  }
  faults.Fail({kFaultChanging, 1, EIO, true});
  return lived;
}

// Forty commits in the log alone, more than the memtables of a later opening take.
Files LargeLog(std::string* held) {
  MemoryVfs vfs;
  auto db = MustOpen(&vfs, "memory_budget=64MiB; write_buffer_size=8MiB");
  auto ks = db->DefaultKeyspace();
  for (uint64_t i = 0; i < 40; ++i) {
    const std::string value(9000 + i, static_cast<char>('a' + i % 26));
    ASSERT_OK(db->Put(ks.get(), kSync, "key" + std::to_string(i % 31), value, 0, nullptr));
  }
  *held = HeldBy(db.get());
  Files files = FilesOf(&vfs);
  ks = RefPtr<Keyspace>();
  ASSERT_OK(db->Close());
  return files;
}

// After each place's first few kills nothing more is left by all the others.
void KillAtEachPlace(const Files& files, const std::string& held, const char* what) {
  const int kills = Quick() ? 9 : 24;
  bool lived = false;
  uint64_t n = 0;
  while (!lived) {
    ++n;
    auto vfs = VfsOf(files);
    Directory before;
    for (int i = 0; i < kills; ++i) {
      lived = DieAt(vfs.get(), n, [](Db*) {});
      const Directory d = Measure(vfs.get());
      if (i == 4) before = d;
      if (i > 4 && (d.files > before.files + 1 || d.bytes > before.bytes + (300 << 10)))
        fail_msg("%s: kill %d at call %d: %d files of %d bytes, %d of %d before", what, i,
                 static_cast<int>(n), static_cast<int>(d.files), static_cast<int>(d.bytes),
                 static_cast<int>(before.files), static_cast<int>(before.bytes));
    }
    auto db = MustOpen(vfs.get());
    ASSERT_SLICE(HeldBy(db.get()), held);
    ASSERT_OK(db->Verify(JobControl()));
    ASSERT_OK(db->Close());
  }
  std::printf("%s: %d kills at each of %d calls\n", what, kills, static_cast<int>(n) - 1);
  assert_true(n > 10);
}

void open_loops__kills_at_one_place_leave_no_more(void**) {
  const Sample unclean = MakeSample(false, "");
  KillAtEachPlace(unclean.files, unclean.states.back(), "unclean");
  const Sample closed = MakeSample(true, "");
  KillAtEachPlace(closed.files, closed.states.back(), "closed");
}

void open_loops__kills_amid_a_large_log_leave_no_more(void**) {
  std::string held;
  const Files files = LargeLog(&held);
  KillAtEachPlace(files, held, "large log");
}

void open_loops__a_thousand_kills_leave_a_bounded_directory(void**) {
  Rng rng(Seed("kills"));
  const int kills = Quick() ? 150 : 1000;
  const Sample sample = MakeSample(false, "");
  auto vfs = VfsOf(sample.files);
  const Directory first = Measure(vfs.get());
  std::string held = sample.states.back();
  Directory most;
  int lives = 0;
  for (int i = 0; i < kills; ++i) {
    lives += DieAt(vfs.get(), 1 + rng.Below(34), [&](Db* db) {
      const std::string key = "key" + std::to_string(rng.Below(20));
      ASSERT_OK(db->Put(db->DefaultKeyspace().get(), kSync, key, rng.Bytes(40), 0, nullptr));
      held = HeldBy(db);
    });
    const Directory d = Measure(vfs.get());
    most.files = std::max(most.files, d.files);
    most.bytes = std::max(most.bytes, d.bytes);
  }
  std::printf("%d kills, %d after a commit: %d files of %d bytes at most, %d of %d at first\n",
              kills, lives, static_cast<int>(most.files), static_cast<int>(most.bytes),
              static_cast<int>(first.files), static_cast<int>(first.bytes));
  // A table for each time that it lived: nothing compacts here.
  assert_in_range(most.files, 1, first.files + static_cast<uint64_t>(lives) + 8);
  assert_in_range(most.bytes, 1, first.bytes + static_cast<uint64_t>(lives) * 4096 + (1 << 20));
  auto db = MustOpen(vfs.get());
  ASSERT_SLICE(HeldBy(db.get()), held);
  ASSERT_OK(db->Verify(JobControl()));
  ASSERT_OK(db->Close());
}

// A damaged log is left as it is, and so is what an opening that was cut short has left.
void open_loops__leftovers_stay_where_the_log_is_damaged(void**) {
  std::string held;
  auto vfs = VfsOf(LargeLog(&held));
  const uint64_t tables = Measure(vfs.get()).files;
  for (uint64_t n = 4; Measure(vfs.get()).files < tables + 2; ++n) DieAt(vfs.get(), n, [](Db*) {});
  Files files = FilesOf(vfs.get());
  for (auto& [name, data] : files) {
    if (TypeOf(name) == FileType::kLog && data.size() > 300000) data[200000] ^= 1;
  }
  auto damaged = VfsOf(files);
  ASSERT_CODE(Db::Open(kDamageDir, DamageOptions(), LogSink(), damaged.get()), Code::kCorrupt);
  assert_true(FilesOf(damaged.get()) == files);
}

class CountReads : public WrapVfs {
 public:
  using WrapVfs::WrapVfs;
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    KIST_TRY_ASSIGN(auto file, base_->Open(path, mode));
    if (TypeOf(path.substr(path.rfind('/') + 1)) != FileType::kLog) return file;
    return std::unique_ptr<File>(new Counting(this, std::move(file)));
  }
  uint64_t bytes = 0;

 private:
  class Counting : public WrapFile {
   public:
    Counting(CountReads* vfs, std::unique_ptr<File> base) : WrapFile(std::move(base)), vfs_(vfs) {}
    Result<size_t> Read(uint64_t offset, char* buf, size_t n) override {
      auto got = base_->Read(offset, buf, n);
      if (got.ok()) vfs_->bytes += *got;
      return got;
    }

   private:
    CountReads* const vfs_;
  };
};

void open_loops__recovery_reads_the_log_a_fixed_number_of_times(void**) {
  for (const int commits : {300, 1200, 4800}) {
    MemoryVfs vfs;
    {
      auto db = MustOpen(&vfs, "memory_budget=64MiB; write_buffer_size=16MiB");
      auto ks = db->DefaultKeyspace();
      for (int i = 0; i < commits; ++i) {
        ASSERT_OK(db->Put(ks.get(), i % 50 == 0 ? kSync : Durability::kOs,
                          "key" + std::to_string(i), std::string(1000, 'v'), 0, nullptr));
      }
      auto unclean = VfsOf(FilesOf(&vfs));
      CountReads counted(unclean.get());
      auto again = Db::Open(kDamageDir, DamageOptions(), LogSink(), &counted);
      ASSERT_OK(again);
      const uint64_t log = static_cast<uint64_t>(commits) * 1000;
      std::printf("log of %d KB: %d KB read\n", static_cast<int>(log / 1000),
                  static_cast<int>(counted.bytes / 1000));
      assert_in_range(counted.bytes, log, 3 * log + (1 << 20));
      ASSERT_OK((*again)->Close());
    }
  }
}

// Commits that log_retention keeps for feeds are not given up for a call that fails for a moment.
void open_loops__a_failing_call_costs_no_kept_log(void**) {
  const char* options = "log_retention=1MiB";
  Files files;
  Sequence last = 0;
  {
    MemoryVfs vfs;
    auto db = MustOpen(&vfs, options);
    auto ks = db->DefaultKeyspace();
    for (uint64_t i = 0; i < 12; ++i) {
      ASSERT_OK(db->Put(ks.get(), kSync, "key" + std::to_string(i), "value", 0, &last));
      if (i % 3 == 2) ASSERT_OK(db->Flush());
    }
    ks = RefPtr<Keyspace>();
    ASSERT_OK(db->Close());
    files = FilesOf(&vfs);
  }
  uint64_t failed = 0;
  for (const uint32_t calls : {kFaultOpen, kFaultRead, kFaultSize, kFaultList}) {
    for (const int error : {EIO, EMFILE, ENOMEM, EACCES}) {
      for (uint64_t n = 1, hit = 1; hit != 0; ++n) {
        auto vfs = VfsOf(files);
        FaultVfs faults(vfs.get());
        faults.Fail(Fault(calls, n, error));
        auto db = Db::Open(kDamageDir, DamageOptions(options), LogSink(), &faults);
        hit = faults.failures();
        faults.Heal();
        failed += !db.ok();
        if (!db.ok()) db = Db::Open(kDamageDir, DamageOptions(options), LogSink(), vfs.get());
        ASSERT_OK(db);
        auto feed = (*db)->NewFeed(0);
        if (!feed.ok())
          fail_msg("calls %u, %d, errno %d: %s", calls, static_cast<int>(n), error,
                   feed.status().ToString().c_str());
        FeedCommit commit;
        bool got = false;
        for (uint64_t i = 0; i < 12; ++i) {
          ASSERT_OK((*feed)->Next(0, &commit, &got));
          assert_true(got);
        }
        assert_int_equal(commit.seq, last);
        feed = Status::Bare(Code::kClosed);
        ASSERT_OK((*db)->Close());
      }
    }
  }
  std::printf("kept logs: %llu openings failed\n", static_cast<unsigned long long>(failed));
  assert_true(failed > 20);
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(open_loops__kills_at_one_place_leave_no_more),
      cmocka_unit_test(open_loops__kills_amid_a_large_log_leave_no_more),
      cmocka_unit_test(open_loops__a_thousand_kills_leave_a_bounded_directory),
      cmocka_unit_test(open_loops__leftovers_stay_where_the_log_is_damaged),
      cmocka_unit_test(open_loops__a_failing_call_costs_no_kept_log),
      cmocka_unit_test(open_loops__recovery_reads_the_log_a_fixed_number_of_times),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
