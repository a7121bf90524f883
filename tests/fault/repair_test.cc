// Repair against a model: each file of a database damaged in turn, in several ways; what the
// undamaged ones hold must come back, nothing that was never written may, the outcome must open
// and verify. Crashes and failures anywhere in a repair leave the original or the outcome.
#include "db/repair.h"

#include <algorithm>
#include <functional>

#include "key/file_name.h"
#include "record/segment.h"
#include "support/crash_harness.h"
#include "support/fault_vfs.h"
#include "vfs/memory_vfs.h"

namespace kist::test {
namespace {

constexpr char kDir[] = "/db";
constexpr Durability kSync = Durability::kSync;

using Files = std::map<std::string, std::string>;

std::string K(uint64_t i) { return "key" + std::to_string(1000 + i); }
std::string V(uint64_t i) { return "value" + std::to_string(i) + std::string(40 + i % 30, 'v'); }

OptionSet Options() {
  OptionSet set;
  ASSERT_OK(
      set.Parse("memory_budget=4MiB; cache_size=64KiB; write_buffer_size=64KiB;"
                "compaction=manual; block_size=1KiB; wal_preallocate=false"));
  return set;
}

Files Snapshot(Vfs* vfs) {
  Files files;
  auto names = vfs->List(kDir);
  ASSERT_OK(names);
  for (const std::string& name : *names) {
    const FileType type = ParseFileName(name)->type;
    if (type == FileType::kLock || type == FileType::kReserve) continue;
    auto data = ReadFile(vfs, JoinPath(kDir, name));
    ASSERT_OK(data);
    files[name] = data.Take();
  }
  return files;
}

void Fill(Vfs* vfs, const Files& files) {
  ASSERT_OK(vfs->MakeDir(kDir));
  for (const auto& [name, data] : files) {
    auto file = vfs->Open(JoinPath(kDir, name), OpenMode::kCreateNew);
    ASSERT_OK(file);
    ASSERT_OK((*file)->Write(0, data));
    ASSERT_OK((*file)->Sync());
  }
  ASSERT_OK(vfs->SyncDir(kDir));
  ASSERT_OK(vfs->SyncDir("/"));
}

Files WithoutLists(Files files) {
  for (auto at = files.begin(); at != files.end();) {
    const FileType type = ParseFileName(at->first)->type;
    const bool list = type == FileType::kCurrent || type == FileType::kManifest;
    at = list ? files.erase(at) : std::next(at);
  }
  return files;
}

struct Sample {
  Files files;
  Contents held;
  // Every value a key ever had.
  std::map<std::string, std::map<std::string, std::set<std::string>>> ever;
};

// Keys of three tables and of the log are apart (by i % 4), so that what a lost file takes along
// is known; some keys are written again, deleted or deleted by range. Of a database that is open,
// or closed in order, whose logs and manifest say where they end.
Sample Make(bool closed = false) {
  Sample sample;
  MemoryVfs vfs;
  auto opened = Db::Open(kDir, Options(), LogSink(), &vfs);
  ASSERT_OK(opened);
  Db* db = opened->get();
  auto ks = db->DefaultKeyspace();
  auto one = db->OpenKeyspace("one", KeyspaceMode::kCreate, nullptr);
  ASSERT_OK(one);
  const auto put = [&](const char* name, Keyspace* k, const std::string& key, uint64_t v) {
    ASSERT_OK(db->Put(k, kSync, key, V(v), 0, nullptr));
    sample.ever[name][key].insert(V(v));
  };
  for (uint64_t part = 0; part < 4; ++part) {
    for (uint64_t i = 0; i < 60; ++i) put("default", ks.get(), K(i * 4 + part), i + part * 100);
    for (uint64_t i = 0; i < 20; ++i) put("one", one->get(), K(i), i + part * 1000);
    if (part == 2) ASSERT_OK(db->Delete(ks.get(), kSync, K(0), nullptr));
    if (part == 2) ASSERT_OK(db->DeleteRange(ks.get(), kSync, K(100), K(110), nullptr));
    if (part < 3) ASSERT_OK(db->Flush());
    if (part == 1) ASSERT_OK(db->Compact(one->get(), Slice(), Slice(), JobControl()));
  }
  std::string error;
  sample.held = ReadAll(db, &error);
  assert_string_equal(error.c_str(), "");
  if (!closed) sample.files = Snapshot(&vfs);
  ks = RefPtr<Keyspace>();
  one = Status::Bare(Code::kClosed);
  ASSERT_OK(db->Close());
  if (closed) sample.files = Snapshot(&vfs);
  return sample;
}

// What the repaired directory holds; it must open, verify and take writes.
Contents Opened(Vfs* vfs, const std::string& what) {
  auto db = Db::Open(kDir, Options(), LogSink(), vfs);
  if (!db.ok()) fail_msg("%s: open: %s", what.c_str(), db.status().ToString().c_str());
  std::string error;
  Contents held = ReadAll(db->get(), &error);
  if (!error.empty()) fail_msg("%s: %s", what.c_str(), error.c_str());
  const Status verified = (*db)->Verify(JobControl());
  if (!verified.ok()) fail_msg("%s: verify: %s", what.c_str(), verified.ToString().c_str());
  ASSERT_OK((*db)->Put((*db)->DefaultKeyspace().get(), kSync, "~new", "1", 0, nullptr));
  ASSERT_OK((*db)->Close());
  return held;
}

// Of the entries of `held` how many are there with their value; any other must once have been.
uint64_t Judge(const Sample& sample, const Contents& held, const std::string& what) {
  uint64_t same = 0;
  for (const auto& [ks, map] : held) {
    const bool renamed = sample.held.count(ks) == 0;
    const std::string name = renamed ? "one" : ks;  // the only one that can lose its name
    for (const auto& [key, value] : map) {
      const auto ever = sample.ever.at(name).find(key);
      if (ever == sample.ever.at(name).end() || ever->second.count(value) == 0)
        fail_msg("%s: %s was never written", what.c_str(), key.c_str());
      const auto now = sample.held.at(name).find(key);
      same += now != sample.held.at(name).end() && now->second == value;
    }
  }
  return same;
}

uint64_t Total(const Contents& held) {
  uint64_t n = 0;
  for (const auto& [ks, map] : held) n += map.size();
  return n;
}

uint64_t RepairAndJudge(const Sample& sample, const Files& files, const std::string& what,
                        std::string* report) {
  MemoryVfs vfs;
  Fill(&vfs, files);
  report->clear();
  const Status s = RepairDb(kDir, &vfs, JobControl(), report);
  if (!s.ok()) fail_msg("%s: repair: %s", what.c_str(), s.ToString().c_str());
  assert_true(report->find("repaired: ") != std::string::npos);
  return Judge(sample, Opened(&vfs, what), what);
}

void repair__of_a_sound_database_loses_nothing(void**) {
  const Sample sample = Make();
  std::string report;
  assert_int_equal(RepairAndJudge(sample, sample.files, "sound", &report), Total(sample.held));
  if (report.find("losses: 0") == std::string::npos) fail_msg("%s", report.c_str());
}

void repair__without_current_and_manifest(void**) {
  const Sample sample = Make();
  for (const bool manifest_too : {false, true}) {
    Files files;
    for (const auto& [name, data] : sample.files) {
      const FileType type = ParseFileName(name)->type;
      if (type == FileType::kCurrent || (manifest_too && type == FileType::kManifest)) continue;
      files[name] = data;
    }
    std::string report;
    const uint64_t same = RepairAndJudge(sample, files, "no manifest", &report);
    assert_int_equal(same, Total(sample.held));
    assert_true(report.find("CURRENT") != std::string::npos);
    if (manifest_too) assert_true(report.find("recovered-1") != std::string::npos);
  }
}

// One block or record at most is lost with a byte; the rest of the file, and every other one,
// stays.
void FlipBytes(bool closed) {
  const Sample sample = Make(closed);
  const uint64_t total = Total(sample.held);
  uint64_t worst = total;
  for (const auto& [name, data] : sample.files) {
    for (size_t at = 3; at < data.size(); at += 97) {
      Files files = sample.files;
      files[name][at] = static_cast<char>(files[name][at] ^ 0x10);
      std::string report;
      const std::string what = name + " byte " + std::to_string(at);
      const uint64_t same = RepairAndJudge(sample, files, what, &report);
      worst = std::min(worst, same);
      if (same < total && report.find(name + ": ") == std::string::npos)
        fail_msg("%s: lost silently: %s", what.c_str(), report.c_str());
      // A block of 1 KiB, or one commit; a table's range delete may uncover what it hid.
      if (same + 40 < total)
        fail_msg("%s: %llu of %llu entries are left:\n%s", what.c_str(),
                 static_cast<unsigned long long>(same), static_cast<unsigned long long>(total),
                 report.c_str());
    }
  }
  std::printf("the worst flip leaves %llu of %llu entries\n",
              static_cast<unsigned long long>(worst), static_cast<unsigned long long>(total));
}

void repair__a_flipped_byte_costs_a_block(void**) {
  FlipBytes(false);
  FlipBytes(true);
}

void RemoveEmptyCut(bool closed) {
  const Sample sample = Make(closed);
  const uint64_t total = Total(sample.held);
  for (const auto& [name, data] : sample.files) {
    const FileType type = ParseFileName(name)->type;
    for (const int how : {0, 1, 2}) {
      Files files = sample.files;
      if (how == 0) files.erase(name);
      if (how == 1) files[name] = "";
      if (how == 2) files[name].resize(data.size() / 2);
      std::string report;
      const std::string what = name + (how == 0 ? " removed" : how == 1 ? " emptied" : " cut");
      const uint64_t same = RepairAndJudge(sample, files, what, &report);
      if (type == FileType::kManifest || type == FileType::kCurrent) {
        assert_int_equal(same, total);
      } else if (same + (how == 2 ? 70 : 130) < total) {
        fail_msg("%s: %llu of %llu entries left:\n%s", what.c_str(),
                 static_cast<unsigned long long>(same), static_cast<unsigned long long>(total),
                 report.c_str());
      }
      if (same < total && report.find(name) == std::string::npos)
        fail_msg("%s: lost silently: %s", what.c_str(), report.c_str());
    }
  }
}

void repair__files_removed_emptied_cut(void**) {
  RemoveEmptyCut(false);
  RemoveEmptyCut(true);
}

// What a crash left as it is: the damaged original, which says so, or all of the outcome.
void JudgeUnrepaired(const Sample& sample, uint64_t best, Vfs* vfs) {
  auto db = Db::Open(kDir, Options(), LogSink(), vfs);
  std::string error;
  if (!db.ok()) return;
  const Contents held = ReadAll(db->get(), &error);
  if (error.empty()) assert_int_equal(Judge(sample, held, "not repaired again"), best);
  ASSERT_OK((*db)->Close());
}

// Cut short anywhere, by an error or by the power: the original, or the whole outcome.
void repair__cut_short_leaves_the_original_or_the_outcome(void**) {
  const Sample sample = Make();
  Files damaged = sample.files;
  for (auto& [name, data] : damaged) {
    if (ParseFileName(name)->type == FileType::kTable) {
      data[200] = static_cast<char>(data[200] ^ 1);
      break;
    }
  }
  std::string report;
  const uint64_t best = RepairAndJudge(sample, damaged, "damaged", &report);
  for (uint64_t n = 1, hit = 1; hit != 0; ++n) {
    MemoryVfs vfs;
    Fill(&vfs, damaged);
    FaultVfs faults(&vfs);
    faults.Fail(Fault(kFaultAll, n, n % 2 == 0 ? EIO : ENOSPC));
    report.clear();
    const Status s = RepairDb(kDir, &faults, JobControl(), &report);
    hit = faults.failures();
    const std::string what = "call " + std::to_string(n) + " failed: " + s.ToString();
    // Nothing of a repair is left beside the original; where a removal failed, it may be.
    const Files left = Snapshot(&vfs);
    if (!s.ok() && left.at(kCurrentFileName) == damaged.at(kCurrentFileName) && left != damaged)
      fail_msg("%s, and the original is not as it was", what.c_str());
    if (!s.ok()) {
      report.clear();
      ASSERT_OK(RepairDb(kDir, &vfs, JobControl(), &report));
    }
    const uint64_t same = Judge(sample, Opened(&vfs, what), what);
    if (same != best)
      fail_msg("%s: %llu entries, not %llu", what.c_str(), static_cast<unsigned long long>(same),
               static_cast<unsigned long long>(best));
  }
  RecordingVfs recording;
  Fill(&recording, damaged);
  const uint64_t from = recording.op_count();
  report.clear();
  ASSERT_OK(RepairDb(kDir, &recording, JobControl(), &report));
  CrashOptions co;
  co.first_boundary = from;
  co.units_max = 10;
  co.random_subsets = 1;
  co.torn_max = 1;
  const Trace trace = recording.GetTrace();
  const uint64_t all = CrashStates(trace, co).ForEach([](const CrashState&) { return true; });
  co.shards = static_cast<uint32_t>(std::max<uint64_t>(1, all / 150));
  uint64_t states = 0;
  CrashStates(trace, co).ForEach([&](const CrashState& state) {
    auto image = state.MakeVfs();
    JudgeUnrepaired(sample, best, state.MakeVfs().get());
    report.clear();
    const Status s = RepairDb(kDir, image.get(), JobControl(), &report);
    if (!s.ok()) fail_msg("after a crash: %s", s.ToString().c_str());
    const std::string what = "crash state " + std::to_string(++states);
    const uint64_t same = Judge(sample, Opened(image.get(), what), what);
    if (same != best)
      fail_msg("%s: %llu entries, not %llu", what.c_str(), static_cast<unsigned long long>(same),
               static_cast<unsigned long long>(best));
    return true;
  });
  std::printf("%llu crash states\n", static_cast<unsigned long long>(states));
  assert_true(states > 20);
}

// What a recovery has given up does not come back, though a power cut took its removal back.
void repair__leftovers_of_a_recovery_do_not_count(void**) {
  RecordingVfs recording;
  {
    auto db = Db::Open(kDir, Options(), LogSink(), &recording);
    ASSERT_OK(db);
    auto ks = (*db)->DefaultKeyspace();
    for (uint64_t i = 0; i < 60; ++i) {
      const Durability d = i % 13 == 0 ? kSync : Durability::kOs;
      ASSERT_OK((*db)->Put(ks.get(), d, K(i % 20), V(i) + std::string(4000, 'x'), 0, nullptr));
      if (i % 17 == 16) ASSERT_OK((*db)->Delete(ks.get(), d, K(i % 5), nullptr));
    }
    ks = RefPtr<Keyspace>();
    ASSERT_OK((*db)->Close());
  }
  CrashOptions co;
  co.units_max = 6;
  co.torn_max = 1;
  const Trace trace = recording.GetTrace();
  const uint64_t all = CrashStates(trace, co).ForEach([](const CrashState&) { return true; });
  co.shards = static_cast<uint32_t>(std::max<uint64_t>(1, all / 300));
  uint64_t states = 0, left = 0;
  CrashStates(trace, co).ForEach([&](const CrashState& state) {
    auto vfs = state.MakeVfs();
    if (!vfs->Stat(kDir).ok()) return true;
    const Files before = Snapshot(vfs.get());
    const std::string what = "crash state " + std::to_string(++states);
    const Contents held = Opened(vfs.get(), what);
    // As it was recovered, without what Opened wrote.
    vfs = state.MakeVfs();
    auto db = Db::Open(kDir, Options(), LogSink(), vfs.get());
    ASSERT_OK(db);
    ASSERT_OK((*db)->Close());
    Files files = Snapshot(vfs.get());
    Files unlisted =
        WithoutLists(files);  // a torn table that nobody lists does not say whose it is
    for (const auto& [name, data] : before) {
      const FileType type = ParseFileName(name)->type;
      if (type == FileType::kLog || type == FileType::kTable) files.emplace(name, data);
      if (type != FileType::kLog) continue;
      left += unlisted.emplace(name, data).second && data.size() > kSegmentDataStart2 + 100;
    }
    for (const bool lists : {true, false}) {
      MemoryVfs merged;
      Fill(&merged, lists ? files : unlisted);
      std::string report;
      ASSERT_OK(RepairDb(kDir, &merged, JobControl(), &report));
      if (lists && report.find("losses: 0") == std::string::npos)
        fail_msg("%s: %s", what.c_str(), report.c_str());
      if (Opened(&merged, what) != held)
        fail_msg("%s, %s: another state", what.c_str(), lists ? "with lists" : "without");
    }
    return true;
  });
  std::printf("%llu crash states, %llu files left over\n", static_cast<unsigned long long>(states),
              static_cast<unsigned long long>(left));
  assert_true(left > 20);
}

// More tables than are merged at once: deletes still hide what is older.
void repair__of_many_tables(void**) {
  for (const bool lists : {true, false}) {
    MemoryVfs vfs;
    Contents held;
    {
      auto db = Db::Open(kDir, Options(), LogSink(), &vfs);
      ASSERT_OK(db);
      auto ks = (*db)->DefaultKeyspace();
      for (uint64_t i = 0; i < 450; ++i) {
        ASSERT_OK((*db)->Put(ks.get(), Durability::kOs, K(i % 70), V(i), 0, nullptr));
        if (i % 3 == 0)
          ASSERT_OK((*db)->Delete(ks.get(), Durability::kOs, K((i * 7) % 70), nullptr));
        ASSERT_OK((*db)->Flush());
      }
      std::string error;
      held = ReadAll(db->get(), &error);
      ks = RefPtr<Keyspace>();
      ASSERT_OK((*db)->Close());
    }
    MemoryVfs copy;
    Fill(&copy, lists ? Snapshot(&vfs) : WithoutLists(Snapshot(&vfs)));
    std::string report;
    ASSERT_OK(RepairDb(kDir, &copy, JobControl(), &report));
    assert_true(Opened(&copy, "many tables") == held);
  }
}

// Somebody has the database until the moment at which the repair locks it.
class LateLock : public WrapVfs {
 public:
  explicit LateLock(Vfs* base) : WrapVfs(base) {}
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    auto db = Db::Open(kDir, Options(), LogSink(), base_);
    ASSERT_OK(db);
    ASSERT_OK((*db)->Compact((*db)->DefaultKeyspace().get(), Slice(), Slice(), JobControl()));
    ASSERT_OK((*db)->Close());
    return base_->Lock(path);
  }
};

void repair__sees_the_files_that_it_has_locked(void**) {
  const Sample sample = Make();
  MemoryVfs vfs;
  Fill(&vfs, sample.files);
  LateLock late(&vfs);
  std::string report;
  ASSERT_OK(RepairDb(kDir, &late, JobControl(), &report));
  assert_true(report.find("losses: 0") != std::string::npos);
  assert_true(Opened(&vfs, "late") == sample.held);
}

// The lists as a repair has left them, put back after a commit was made: they know of no log, and
// would be a database without it. Where the log says nothing any more, nobody can tell.
void repair__its_lists_put_back_later_do_not_open(void**) {
  const Sample sample = Make();
  MemoryVfs vfs;
  Fill(&vfs, sample.files);
  std::string report;
  ASSERT_OK(RepairDb(kDir, &vfs, JobControl(), &report));
  Files older = Snapshot(&vfs);
  Opened(&vfs, "repaired");
  Files files = WithoutLists(Snapshot(&vfs));
  files.insert(older.begin(), older.end());
  const auto log = std::find_if(files.begin(), files.end(), [](const auto& file) {
    return ParseFileName(file.first)->type == FileType::kLog;
  });
  const std::string sound = log->second;
  const std::string other = std::find_if(sample.files.begin(), sample.files.end(), [](auto& file) {
                              return ParseFileName(file.first)->type == FileType::kLog;
                            })->second;
  for (int how = 0; how < 5; ++how) {
    log->second = how == 3 ? "" : how == 4 ? other : sound;
    if (how == 1) log->second[kSegmentDataStart2 + 72 + 12] ^= 1;  // the commit
    if (how == 2) log->second[kSegmentDataStart2 + 12] ^= 1;       // the chain record
    for (uint64_t n = 0, hit = 1; hit != 0; ++n) {  // with each reading call failing, or none
      MemoryVfs image;
      Fill(&image, files);
      FaultVfs faults(&image);
      if (n != 0) faults.Fail(Fault(kFaultRead, n, EIO));
      const auto db = Db::Open(kDir, Options(), LogSink(), &faults);
      if (faults.failures() == 0) assert_true(db.ok() == (how >= 2));
      if (faults.failures() == 0 && how < 2) ASSERT_CODE(db, Code::kCorrupt);
      if (how < 2) assert_true(!db.ok() && Snapshot(&image) == files);
      hit = n == 0 ? 1 : faults.failures();
    }
  }
}

void repair__progress_cancels_and_nothing_happened(void**) {
  const Sample sample = Make();
  MemoryVfs vfs;
  Fill(&vfs, sample.files);
  for (int after = 0; after < 4; ++after) {
    JobControl job;
    int calls = 0;
    job.progress = [&](uint64_t done, uint64_t total) {
      assert_true(done <= total);
      return calls++ < after;
    };
    std::string report;
    ASSERT_CODE(RepairDb(kDir, &vfs, job, &report), Code::kCancelled);
    assert_true(Snapshot(&vfs) == sample.files);
  }
}

void repair__refuses_what_is_none_of_its(void**) {
  MemoryVfs vfs;
  std::string report;
  ASSERT_CODE(RepairDb(kDir, &vfs, JobControl(), &report), Code::kMissing);
  ASSERT_OK(vfs.MakeDir(kDir));
  ASSERT_CODE(RepairDb(kDir, &vfs, JobControl(), &report), Code::kMissing);
  auto db = Db::Open(kDir, Options(), LogSink(), &vfs);
  ASSERT_OK(db);
  ASSERT_CODE(RepairDb(kDir, &vfs, JobControl(), &report), Code::kLocked);
  ASSERT_OK((*db)->Close());
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(repair__of_a_sound_database_loses_nothing),
      cmocka_unit_test(repair__without_current_and_manifest),
      cmocka_unit_test(repair__a_flipped_byte_costs_a_block),
      cmocka_unit_test(repair__files_removed_emptied_cut),
      cmocka_unit_test(repair__cut_short_leaves_the_original_or_the_outcome),
      cmocka_unit_test(repair__leftovers_of_a_recovery_do_not_count),
      cmocka_unit_test(repair__of_many_tables),
      cmocka_unit_test(repair__sees_the_files_that_it_has_locked),
      cmocka_unit_test(repair__its_lists_put_back_later_do_not_open),
      cmocka_unit_test(repair__progress_cancels_and_nothing_happened),
      cmocka_unit_test(repair__refuses_what_is_none_of_its),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
