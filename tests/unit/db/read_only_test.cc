// Read-only opening (promise G13): no call that changes anything, on an unclean database too; and
// beside a writer who, between any two calls of the reader, makes tables and removes them, rolls
// the log and the manifest.
#include <functional>
#include <thread>

#include "support/clock_vfs.h"
#include "support/damage.h"
#include "support/fault_vfs.h"

namespace kist::test {
namespace {

constexpr Durability kSync = Durability::kSync;

// Calls a hook before the Nth call that looks at the file system, and another one some calls later.
class HookVfs : public WrapVfs {
 public:
  HookVfs(Vfs* base, uint64_t nth, std::function<void()> hook, uint64_t later = 0,
          std::function<void()> then = {})
      : WrapVfs(base), nth_(nth), later_(later), hook_(std::move(hook)), then_(std::move(then)) {}

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    Tick();
    KIST_TRY_ASSIGN(auto file, base_->Open(path, mode));
    return std::unique_ptr<File>(new Hooked(this, std::move(file)));
  }
  Result<std::vector<std::string>> List(const std::string& dir) override {
    Tick();
    return base_->List(dir);
  }
  Result<FileInfo> Stat(const std::string& path) override {
    Tick();
    return base_->Stat(path);
  }
  // The Nth call from now on.
  void Arm(uint64_t nth) { nth_ = calls_ + nth; }
  // Whether it came to that; from now on it will not.
  bool Disarm() {
    const bool reached = calls_ >= nth_;
    calls_ = nth_ + later_;
    return reached;
  }

 private:
  class Hooked : public WrapFile {
   public:
    Hooked(HookVfs* vfs, std::unique_ptr<File> base) : WrapFile(std::move(base)), vfs_(vfs) {}
    Result<size_t> Read(uint64_t offset, char* buf, size_t n) override {
      vfs_->Tick();
      return base_->Read(offset, buf, n);
    }
    Result<uint64_t> Size() override {
      vfs_->Tick();
      return base_->Size();
    }

   private:
    HookVfs* const vfs_;
  };
  void Tick() {
    if (++calls_ == nth_) hook_();
    if (later_ != 0 && calls_ == nth_ + later_) then_();
  }

  uint64_t nth_;
  const uint64_t later_;
  const std::function<void()> hook_, then_;
  uint64_t calls_ = 0;
};

// One database and what it held after each commit.
class Writer {
 public:
  explicit Writer(Vfs* vfs, const char* options = "wal_preallocate=false")
      : vfs_(vfs), options_(options) {
    Open();
  }
  ~Writer() { Close(); }
  void Open() {
    vfs_.Heal();
    auto opened = Db::Open(kDamageDir, DamageOptions(options_), LogSink(), &vfs_);
    ASSERT_OK(opened);
    db_ = opened.Take();
  }
  // The process dies, and so do openings after it, one later than the other.
  void Die() {
    vfs_.Fail({kFaultChanging, 1, EIO, true});
    db_.reset();
    for (const uint64_t n : {13, 20, 25}) {
      vfs_.Heal();
      vfs_.Fail({kFaultChanging, n, EIO, true});
      ASSERT_CODE(Db::Open(kDamageDir, DamageOptions(), LogSink(), &vfs_), Code::kIo);
    }
  }
  void Close() { ASSERT_OK(db_->Close()); }
  void Commit(size_t more = 0) {
    const std::string key = "key" + std::to_string(states_.size() % 5);
    const std::string value = "value" + std::to_string(states_.size()) + std::string(more, 'v');
    ASSERT_OK(db_->Put(db_->DefaultKeyspace().get(), kSync, key, value, 0, nullptr));
    std::string error;
    states_.push_back(Serialise(ReadAll(db_.get(), &error)));
    assert_string_equal(error.c_str(), "");
  }
  void Flush() { ASSERT_OK(db_->Flush()); }
  void Compact() {
    ASSERT_OK(db_->Compact(db_->DefaultKeyspace().get(), Slice(), Slice(), JobControl()));
  }
  void Reopen() {
    Close();
    Open();
  }
  size_t commits() const { return states_.size(); }
  // How many commits make that state; 0: none.
  size_t Find(const std::string& state) const {
    for (size_t i = states_.size(); i > 0; --i) {
      if (states_[i - 1] == state) return i;
    }
    return 0;
  }

 private:
  FaultVfs vfs_;
  const char* const options_;
  std::unique_ptr<Db> db_;
  std::vector<std::string> states_;
};

std::unique_ptr<Db> OpenReader(Vfs* vfs, const std::string& what) {
  auto opened = Db::Open(kDamageDir, DamageOptions("read_only=true"), LogSink(), vfs);
  if (!opened.ok()) fail_msg("%s: %s", what.c_str(), opened.status().ToString().c_str());
  return opened.Take();
}

void read_only__makes_no_changing_call(void**) {
  for (const bool closed : {true, false}) {
    const Sample sample = MakeSample(closed, "");
    auto vfs = VfsOf(sample.files);
    FaultVfs faults(vfs.get());
    faults.Fail({kFaultChanging | kFaultLock, 1, EROFS, true});
    auto db = OpenReader(&faults, closed ? "closed" : "unclean");
    std::string error;
    ASSERT_SLICE(Serialise(ReadAll(db.get(), &error)), sample.states.back());
    assert_string_equal(error.c_str(), "");
    ASSERT_OK(db->Verify(JobControl()));
    ASSERT_CODE(db->Flush(), Code::kReadOnly);
    ASSERT_OK(db->Close());
    assert_int_equal(faults.Count(kFaultChanging | kFaultLock), 0);
    assert_true(FilesOf(vfs.get()) == sample.files);
  }
}

// What the reader then shows was the newest state at some moment of its opening.
void OpensBeside(const char* what, const std::function<void(Writer*)>& act, bool dead = false) {
  uint64_t looks = 0;
  for (bool reached = true; reached;) {
    MemoryVfs base;
    Writer writer(&base);
    for (int i = 0; i < 7; ++i) {
      writer.Commit();
      if (i == 2 || i == 4) writer.Flush();
    }
    if (dead) writer.Die();
    const size_t before = writer.commits();
    HookVfs vfs(&base, ++looks, [&] { act(&writer); });
    auto reader = OpenReader(&vfs, what);
    reached = vfs.Disarm();
    if (dead && !reached) writer.Open();
    const size_t after = writer.commits();
    for (int times = 0; times < 2; ++times) {
      std::string error;
      const size_t seen = writer.Find(Serialise(ReadAll(reader.get(), &error)));
      if (!error.empty() || seen < before || seen > after)
        fail_msg("%s at look %d: commit %d of %d to %d; %s", what, static_cast<int>(looks),
                 static_cast<int>(seen), static_cast<int>(before), static_cast<int>(after),
                 error.c_str());
      // Tables that go now stay readable, and the reader's state stays what it is.
      if (times == 0) {
        for (int i = 0; i < 6; ++i) writer.Commit();
        writer.Flush();
        writer.Compact();
      }
    }
    ASSERT_OK(reader->Close());
    writer.Commit();
  }
  assert_true(looks > 20);
  std::printf("%s: at each of %d looks\n", what, static_cast<int>(looks) - 1);
}

void read_only__opens_beside_commits(void**) {
  OpensBeside("commit", [](Writer* w) { w->Commit(); });
}

void read_only__opens_beside_flush_and_compaction(void**) {
  OpensBeside("flush", [](Writer* w) {
    w->Commit();
    w->Flush();
  });
  OpensBeside("compaction", [](Writer* w) {
    w->Commit();
    w->Flush();
    w->Compact();
    w->Commit();
  });
}

void read_only__opens_beside_another_opening(void**) {
  OpensBeside("reopening", [](Writer* w) { w->Reopen(); });
  OpensBeside("reopening and commits", [](Writer* w) {
    w->Commit();
    w->Reopen();
    w->Commit();
    w->Compact();
  });
}

// What the writer replaces and removes meanwhile is no damage.
void VerifiesBeside(const char* what, const std::function<void(Writer*)>& act) {
  uint64_t looks = 0;
  for (bool reached = true; reached;) {
    MemoryVfs base;
    Writer writer(&base);
    for (int i = 0; i < 7; ++i) {
      writer.Commit();
      if (i == 2 || i == 4) writer.Flush();
    }
    HookVfs vfs(&base, UINT64_MAX, [&] { act(&writer); });
    auto reader = OpenReader(&vfs, what);
    vfs.Arm(++looks);
    const Status s = reader->Verify(JobControl());
    if (!s.ok()) fail_msg("%s at look %d: %s", what, static_cast<int>(looks), s.ToString().c_str());
    reached = vfs.Disarm();
    ASSERT_OK(reader->Close());
  }
  std::printf("%s: at each of %d looks\n", what, static_cast<int>(looks) - 1);
}

void read_only__verifies_beside_a_writer(void**) {
  VerifiesBeside("flush", [](Writer* w) {
    w->Commit();
    w->Flush();
    w->Compact();
  });
  VerifiesBeside("reopening", [](Writer* w) { w->Reopen(); });
  VerifiesBeside("reopening and commits", [](Writer* w) {
    w->Commit();
    w->Reopen();
    w->Commit();
    w->Flush();
  });
}

// Stops in the middle of the next write to the log.
class HalfVfs : public WrapVfs {
 public:
  using WrapVfs::WrapVfs;
  void Arm() { step_ = kArmed; }
  void AwaitHalf() { Await(kHalf); }
  void GoOn() { step_ = kGoes; }
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    KIST_TRY_ASSIGN(auto file, base_->Open(path, mode));
    if (TypeOf(path.substr(path.rfind('/') + 1)) != FileType::kLog) return file;
    return std::unique_ptr<File>(new HalfFile(this, std::move(file)));
  }

 private:
  enum Step { kGoes, kArmed, kHalf };
  class HalfFile : public WrapFile {
   public:
    HalfFile(HalfVfs* vfs, std::unique_ptr<File> base) : WrapFile(std::move(base)), vfs_(vfs) {}
    Status WriteV(uint64_t offset, const Slice* parts, size_t count) override {
      std::string data;
      for (size_t i = 0; i < count; ++i) data += parts[i];
      const size_t half = vfs_->step_ == kArmed ? data.size() / 2 : 0;
      if (half != 0) {
        KIST_TRY(base_->Write(offset, Slice(data).substr(0, half)));
        vfs_->step_ = kHalf;
        vfs_->Await(kGoes);
      }
      return base_->Write(offset + half, Slice(data).substr(half));
    }

   private:
    HalfVfs* const vfs_;
  };
  void Await(Step step) {
    while (step_ != step) std::this_thread::yield();
  }
  std::atomic<Step> step_{kGoes};
};

// A reader may see a part of a record, and behind it one that says that all of it is durable. False
// where it does not look so often.
bool OpensBesideHalfAWrite(uint64_t look, uint64_t later) {
  MemoryVfs base;
  HalfVfs half(&base);
  Writer writer(&half, "memory_budget=64MiB; write_buffer_size=4MiB");
  for (int i = 0; i < 3; ++i) writer.Commit();
  const size_t before = writer.commits();
  std::thread thread;
  const auto begin = [&] {
    half.Arm();
    thread = std::thread([&] { writer.Commit(100000); });
    half.AwaitHalf();
  };
  const auto go_on = [&] {
    half.GoOn();
    thread.join();
    writer.Commit();
  };
  HookVfs vfs(&base, look, begin, later, go_on);
  auto reader = OpenReader(&vfs, "half a write, look " + std::to_string(look));
  const bool reached = vfs.Disarm();
  if (thread.joinable()) go_on();
  std::string error;
  const size_t seen = writer.Find(Serialise(ReadAll(reader.get(), &error)));
  assert_string_equal(error.c_str(), "");
  assert_true(seen >= before && seen <= writer.commits());
  ASSERT_OK(reader->Close());
  return reached;
}

void read_only__opens_beside_half_a_write(void**) {
  for (uint64_t later = 1; later < 5; ++later) {
    for (uint64_t look = 1; OpensBesideHalfAWrite(look, later);) ++look;
  }
}

// One that removes what others that were cut short have left.
void read_only__opens_beside_a_recovery(void**) {
  OpensBeside(
      "recovery", [](Writer* w) { w->Open(); }, true);
}

// What has expired for the writer has expired for a reader whose clock is behind: the log tells the
// time, as the manifest does.
void read_only__knows_the_time_of_the_log(void**) {
  MemoryVfs base;
  ClockVfs clock(&base);
  auto writer = Db::Open(kDamageDir, OptionSet(), LogSink(), &clock);
  ASSERT_OK(writer);
  const auto ks = (*writer)->DefaultKeyspace();
  ASSERT_OK((*writer)->Put(ks.get(), Durability::kSync, "short", "", 1000, nullptr));
  ASSERT_OK((*writer)->Put(ks.get(), Durability::kSync, "long", "", 60000, nullptr));
  clock.AdvanceMs(5000);
  ASSERT_OK((*writer)->Put(ks.get(), Durability::kSync, "last", "", 0, nullptr));
  clock.JumpWallMs(-10000);
  const auto reader = OpenReader(&clock, "behind the writer's time");
  for (Db* db : {writer->get(), reader.get()}) {
    Epoch::Guard guard(db->epoch());
    ReadFound found;
    ASSERT_OK(db->Get(db->DefaultKeyspace().get(), nullptr, "short", true, &found));
    assert_false(found.found);
    ASSERT_OK(db->Get(db->DefaultKeyspace().get(), nullptr, "long", true, &found));
    assert_true(found.found);
  }
  ASSERT_OK(reader->Close());
  ASSERT_OK((*writer)->Close());
}

// Before CURRENT is there, there is no database yet; a look at what is there may come after.
void read_only__opens_beside_a_creation(void**) {
  int missing = 0;
  for (uint64_t look = 1;; ++look) {
    MemoryVfs base;
    ASSERT_OK(base.MakeDir(kDamageDir));
    std::unique_ptr<Writer> writer;
    HookVfs vfs(&base, look, [&] { writer = std::make_unique<Writer>(&base); });
    auto opened = Db::Open(kDamageDir, DamageOptions("read_only=true"), LogSink(), &vfs);
    if (opened.ok()) {
      ASSERT_OK((*opened)->Close());
    } else {
      ASSERT_CODE(opened, Code::kMissing);
      ++missing;
    }
    if (!vfs.Disarm()) break;
  }
  assert_int_equal(missing, 1);  // where the last look came before it
}

// A directory in which a file comes and goes at every look: a failure beside it may be its doing,
// so it is tried again, but not for ever.
class Restless : public WrapVfs {
 public:
  using WrapVfs::WrapVfs;
  Result<std::vector<std::string>> List(const std::string& dir) override {
    KIST_TRY_ASSIGN(auto names, base_->List(dir));
    names.push_back("file" + std::to_string(++looks));
    return names;
  }
  uint64_t looks = 0;
};

void read_only__gives_up_in_a_restless_directory(void**) {
  const Sample sample = MakeSample(true);
  Files files = sample.files;
  for (auto it = files.begin(); it != files.end();)
    it = TypeOf(it->first) == FileType::kTable ? files.erase(it) : std::next(it);
  auto vfs = VfsOf(files);
  Restless restless(vfs.get());
  ASSERT_CODE(Db::Open(kDamageDir, DamageOptions("read_only=true"), LogSink(), &restless),
              Code::kCorrupt);
  assert_true(restless.looks > 2 && restless.looks < 1000);
  auto whole = VfsOf(sample.files);
  Restless around(whole.get());
  auto db = OpenReader(&around, "restless");
  std::string error;
  ASSERT_SLICE(Serialise(ReadAll(db.get(), &error)), sample.states.back());
  ASSERT_OK(db->Close());
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(read_only__makes_no_changing_call),
      cmocka_unit_test(read_only__opens_beside_commits),
      cmocka_unit_test(read_only__opens_beside_flush_and_compaction),
      cmocka_unit_test(read_only__opens_beside_another_opening),
      cmocka_unit_test(read_only__verifies_beside_a_writer),
      cmocka_unit_test(read_only__opens_beside_half_a_write),
      cmocka_unit_test(read_only__opens_beside_a_recovery),
      cmocka_unit_test(read_only__opens_beside_a_creation),
      cmocka_unit_test(read_only__knows_the_time_of_the_log),
      cmocka_unit_test(read_only__gives_up_in_a_restless_directory),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
