// Expiry over flush and compaction (promises G14, G16): an expired version hides older ones like a
// delete, wherever they lie; a snapshot from before the expiry still sees it; clock jumps change
// nothing but what has expired.
#include "backup/checkpoint.h"
#include "support/clock_vfs.h"
#include "support/crash_harness.h"
#include "vfs/memory_vfs.h"

namespace kist::test {
namespace {

constexpr char kDir[] = "/db";
constexpr Durability kOs = Durability::kOs;

struct Fixture {
  MemoryVfs memory;
  ClockVfs vfs{&memory};
  OptionSet set;
  std::unique_ptr<Db> db;

  explicit Fixture(const char* options = "compaction=manual") {
    ASSERT_OK(set.Parse(std::string("memory_budget=4MiB; ") + options));
    Open();
  }
  ~Fixture() { ASSERT_OK(db->Close()); }
  void Open() {
    auto opened = Db::Open(kDir, set, LogSink(), &vfs);
    ASSERT_OK(opened);
    db = opened.Take();
  }
  void Put(const char* key, const char* value, int64_t ttl_ms) {
    ASSERT_OK(db->Put(db->DefaultKeyspace().get(), kOs, key, value, ttl_ms, nullptr));
  }
  void Compact() {
    ASSERT_OK(db->Compact(db->DefaultKeyspace().get(), Slice(), Slice(), JobControl()));
  }
  // "-" where there is none; get and both scans agree.
  std::string Get(const char* key, const Snapshot* snapshot = nullptr) {
    auto ks = db->DefaultKeyspace();
    std::string value = "-";
    {
      Epoch::Guard guard(db->epoch());
      ReadFound found;
      ASSERT_OK(db->Get(ks.get(), snapshot, key, true, &found));
      if (found.found) value = std::string(found.value);
    }
    IterOptions io;
    io.snapshot = snapshot;
    auto it = db->NewIterator(ks.get(), io);
    ASSERT_OK(it);
    (*it)->SeekGe(key);
    const bool forwards = (*it)->on() && (*it)->key() == key;
    (*it)->SeekLe(key);
    const bool backwards = (*it)->on() && (*it)->key() == key;
    assert_int_equal(forwards, value != "-");
    assert_int_equal(backwards, value != "-");
    return value;
  }
};

void expiry__never_uncovers_an_older_version(void**) {
  for (int below = 0; below < 3; ++below) {  // where the older one lies: memory, level 0, deeper
    for (int above = 0; above < 3; ++above) {
      Fixture f;
      f.Put("k", "old", 0);
      if (below == 1) ASSERT_OK(f.db->Flush());
      if (below == 2) f.Compact();
      f.Put("k", "new", 50);
      f.Put("other", "x", 0);
      assert_string_equal(f.Get("k").c_str(), "new");
      f.vfs.AdvanceMs(100);
      assert_string_equal(f.Get("k").c_str(), "-");
      if (above == 1) ASSERT_OK(f.db->Flush());
      if (above == 2) f.Compact();
      assert_string_equal(f.Get("k").c_str(), "-");
      ASSERT_OK(f.db->Close());
      f.Open();
      assert_string_equal(f.Get("k").c_str(), "-");
      f.Compact();
      assert_string_equal(f.Get("k").c_str(), "-");
    }
  }
}

void expiry__a_snapshot_from_before_still_sees_it(void**) {
  Fixture f;
  f.Put("k", "old", 0);
  f.Compact();
  f.Put("k", "new", 50);
  auto snapshot = f.db->NewSnapshot();
  ASSERT_OK(snapshot);
  f.vfs.AdvanceMs(100);
  f.Put("j", "x", 0);
  ASSERT_OK(f.db->Flush());
  f.Compact();
  assert_string_equal(f.Get("k", snapshot->get()).c_str(), "new");
  assert_string_equal(f.Get("k").c_str(), "-");
  *snapshot = nullptr;
  f.Compact();
  assert_string_equal(f.Get("k").c_str(), "-");
}

// The clock may jump while the database is open or closed: what expired stays expired.
void expiry__clock_jumps(void**) {
  constexpr int64_t kYears = int64_t{10} * 365 * 24 * 3600 * 1000;
  for (const int64_t jump : {int64_t{-1000}, int64_t{1000}, -kYears, kYears}) {
    Fixture f;
    f.Put("short", "s", 50);
    f.Put("hour", "h", 3600 * 1000);
    f.vfs.AdvanceMs(100);
    assert_string_equal(f.Get("short").c_str(), "-");
    assert_string_equal(f.Get("hour").c_str(), "h");
    f.vfs.JumpWallMs(jump);
    assert_string_equal(f.Get("short").c_str(), "-");
    assert_string_equal(f.Get("hour").c_str(), jump == kYears ? "-" : "h");
    ASSERT_OK(f.db->Flush());
    ASSERT_OK(f.db->Close());
    f.Open();
    assert_string_equal(f.Get("short").c_str(), "-");
    assert_string_equal(f.Get("hour").c_str(), jump == kYears ? "-" : "h");
    f.vfs.AdvanceMs(2 * 3600 * 1000);  // time never stands still, whatever the wall clock says
    assert_string_equal(f.Get("hour").c_str(), "-");
  }
}

// Set back while the database is closed; a checkpoint is opened by the same clock.
void expiry__the_clock_is_set_back_meanwhile(void**) {
  for (const bool flushed : {false, true}) {
    for (const bool reopened : {false, true}) {
      Fixture f;
      f.Put("k", "old", 0);
      f.Put("k", "new", 50);
      if (flushed) ASSERT_OK(f.db->Flush());
      if (reopened) {
        ASSERT_OK(f.db->Close());
        f.Open();
      }
      f.vfs.AdvanceMs(100);
      assert_string_equal(f.Get("k").c_str(), "-");
      ASSERT_OK(MakeCheckpoint(f.db.get(), &f.vfs, "/copy", nullptr));
      ASSERT_OK(f.db->Close());
      f.vfs.JumpWallMs(-90);
      f.Open();
      assert_string_equal(f.Get("k").c_str(), "-");
      ASSERT_OK(f.db->Close());
      auto copy = Db::Open("/copy", f.set, LogSink(), &f.vfs);
      ASSERT_OK(copy);
      f.db = copy.Take();
      assert_string_equal(f.Get("k").c_str(), "-");
    }
  }
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(expiry__never_uncovers_an_older_version),
      cmocka_unit_test(expiry__a_snapshot_from_before_still_sees_it),
      cmocka_unit_test(expiry__clock_jumps),
      cmocka_unit_test(expiry__the_clock_is_set_back_meanwhile),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
