// Crash-state enumeration of copies: whatever a crash leaves of a copy that was being made, it
// opens as the state after one commit or is refused, it is whole once the call has returned, and
// the original is as safe as without it. KIST_CRASH_STATES sets how many states are judged.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "backup/backup.h"
#include "backup/checkpoint.h"
#include "backup/prune.h"
#include "backup/restore.h"
#include "backup/stream.h"
#include "support/commit_history.h"
#include "support/crash_states.h"

namespace kist::test {
namespace {

constexpr int kDone = 1;     // mark kinds: the call returned with this commit
constexpr int kDurable = 0;  // this commit is durable in the original

uint64_t States() {
  const char* v = std::getenv("KIST_CRASH_STATES");
  return v != nullptr ? std::strtoull(v, nullptr, 10) : 300;
}

std::unique_ptr<Db> OpenDb(Vfs* vfs, const std::string& path) {
  OptionSet options;
  ASSERT_OK(options.Parse("memory_budget=4MiB; sync=never; write_buffer_size=64KiB"));
  auto db = Db::Open(path, options, LogSink(), vfs);
  ASSERT_OK(db.status());
  return db.Take();
}

// What `path` holds after the crash: the commit whose state it is, or nothing where it does not
// open.
bool CommitAt(Vfs* vfs, const std::string& path, const CommitHistory& history, std::string* what,
              std::string* dump) {
  OptionSet options;
  ASSERT_OK(options.Parse("memory_budget=4MiB; create_if_missing=false"));
  auto db = Db::Open(path, options, LogSink(), vfs);
  if (!db.ok()) {
    *what = db.status().ToString();
    return false;
  }
  *dump = Dump(db->get());
  ASSERT_OK((*db)->Verify({}));
  ASSERT_OK((*db)->Close());
  for (const auto& [seq, state] : history.states()) {
    if (state == *dump) return true;
  }
  fail_msg("%s holds what it held after no commit", path.c_str());
  return false;
}

// Calls visit for about States() states of the trace from `from` on; returns how many.
uint64_t Judge(RecordingVfs* vfs, size_t from, uint64_t seed,
               const std::function<void(const CrashState&)>& visit) {
  CrashOptions options;
  options.first_boundary = from;
  options.seed = seed;
  const uint64_t all =
      CrashStates(vfs->GetTrace(), options).ForEach([](const CrashState&) { return true; });
  options.shards = static_cast<uint32_t>(all / States() + 1);
  return CrashStates(vfs->GetTrace(), options).ForEach([&](const CrashState& s) {
    visit(s);
    return true;
  });
}

// A segment of the log that is linked, not copied.
bool SharesLog(Vfs* vfs, const std::string& path) {
  if (path.empty()) return false;
  const std::vector<std::string> names = *vfs->List(path);
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    const auto there = vfs->Stat(JoinPath("/db", name)), here = vfs->Stat(JoinPath(path, name));
    return name.find(".log") != std::string::npos && there.ok() && there->inode == here->inode;
  });
}

void copies_crash__checkpoint(void**) {
  RecordingVfs vfs;
  auto db = OpenDb(&vfs, "/db");
  CommitHistory history(Seed("checkpoint"));
  history.Use(db.get());
  size_t from = 0;
  Sequence seq = 0;
  std::string path;
  for (int i = 0; !SharesLog(&vfs, path); ++i) {  // the flush may be done with it by then
    assert_true(i < 1000);
    path = "/copy" + std::to_string(i);
    history.Steps(100);
    for (int k = 0; k < 30; ++k) history.Put();
    ASSERT_OK(db->Sync());
    from = vfs.op_count();
    vfs.Mark(history.last() + 1, kDurable);  // marks are never 0
    ASSERT_OK(MakeCheckpoint(db.get(), &vfs, path, &seq));
    vfs.Mark(seq + 1, kDone);
  }
  history.Steps(10);
  ASSERT_OK(db->Close());
  db.reset();

  uint64_t opened = 0;
  const uint64_t judged = Judge(&vfs, from, history.rng().Next(), [&](const CrashState& s) {
    auto image = s.MakeVfs();
    std::string what, dump;
    if (!CommitAt(image.get(), "/db", history, &what, &dump))
      fail_msg("%s: the original: %s", s.ToString().c_str(), what.c_str());
    if (CommitAt(image.get(), path, history, &what, &dump)) {
      ++opened;
      // It holds what was acknowledged before it was begun.
      if (dump != history.At(seq)) fail_msg("%s: another commit", s.ToString().c_str());
    } else if (s.mark(kDone) == seq + 1) {
      fail_msg("%s: made, and does not open: %s", s.ToString().c_str(), what.c_str());
    }
  });
  std::printf("checkpoint: %llu states, %llu of them with a copy that opens\n",
              static_cast<unsigned long long>(judged), static_cast<unsigned long long>(opened));
  assert_true(opened > 0 && opened < judged);
}

Status RestoreFrom(Vfs* vfs, const RestorePoint& point, Sequence* seq, std::string* dump) {
  auto target = OpenTarget(vfs, "/target", false);
  if (!target.ok()) return target.status();
  auto memory = NewMemoryVfs();
  Status s = RestoreBackup(target->get(), memory.get(), "/copy", point, {}, seq);
  if (s.ok()) *dump = DumpAt(memory.get(), "/copy");
  return s;
}

// A backup over an earlier one: at any moment the newest finished one comes back.
void copies_crash__backup(void**) {
  RecordingVfs vfs;
  auto db = OpenDb(&vfs, "/db");
  CommitHistory history(Seed("backup"));
  history.Use(db.get());
  history.Steps(100);
  Sequence before = 0, after = 0;
  ASSERT_OK(MakeBackup(db.get(), OpenTarget(&vfs, "/target", true)->get(), {}, &before));
  history.Steps(60);
  ASSERT_OK(db->Sync());
  const size_t from = vfs.op_count();
  ASSERT_OK(MakeBackup(db.get(), OpenTarget(&vfs, "/target", true)->get(), {}, &after));
  vfs.Mark(1, kDone);
  ASSERT_OK(db->Close());
  db.reset();
  uint64_t old = 0;
  const uint64_t judged = Judge(&vfs, from, history.rng().Next(), [&](const CrashState& s) {
    auto image = s.MakeVfs();
    Sequence seq = 0;
    std::string dump;
    Status restored = RestoreFrom(image.get(), {}, &seq, &dump);
    if (!restored.ok()) fail_msg("%s: %s", s.ToString().c_str(), restored.ToString().c_str());
    if (seq != after && (seq != before || s.mark(kDone) != 0))
      fail_msg("%s: commit %d", s.ToString().c_str(), static_cast<int>(seq));
    if (dump != history.At(seq)) fail_msg("%s: another state", s.ToString().c_str());
    old += seq == before ? 1 : 0;
  });
  std::printf("backup: %llu states, %llu of them show the earlier backup\n",
              static_cast<unsigned long long>(judged), static_cast<unsigned long long>(old));
  assert_true(old > 0 && old < judged);
}

void copies_crash__prune(void**) {
  RecordingVfs vfs;
  auto db = OpenDb(&vfs, "/db");
  CommitHistory history(Seed("prune"));
  history.Use(db.get());
  std::vector<Sequence> made;
  for (int i = 0; i < 4; ++i) {
    history.Steps(60);
    made.push_back(0);
    ASSERT_OK(MakeBackup(db.get(), OpenTarget(&vfs, "/target", true)->get(), {}, &made.back()));
  }
  ASSERT_OK(db->Close());
  db.reset();
  const size_t from = vfs.op_count();
  PruneReport report;
  ASSERT_OK(PruneTarget(&vfs, OpenTarget(&vfs, "/target", false)->get(), {2, 0}, {}, &report));
  assert_int_equal(report.bases, 2);
  const uint64_t judged = Judge(&vfs, from, history.rng().Next(), [&](const CrashState& s) {
    auto image = s.MakeVfs();
    for (size_t i = 0; i < made.size(); ++i) {
      Sequence seq = 0;
      std::string dump;
      Status restored = RestoreFrom(image.get(), {made[i], 0}, &seq, &dump);
      // What is kept comes back; what is not comes back or is refused.
      if (restored.ok() ? seq != made[i] || dump != history.At(seq)
                        : i >= 2 || !restored.Is(Code::kMissing))
        fail_msg("%s: backup %d: %s", s.ToString().c_str(), static_cast<int>(i),
                 restored.ToString().c_str());
    }
  });
  std::printf("prune: %llu states\n", static_cast<unsigned long long>(judged));
}

void copies_crash__restore(void**) {
  auto source = NewMemoryVfs();
  auto db = OpenDb(source.get(), "/db");
  CommitHistory history(Seed("restore"));
  history.Use(db.get());
  history.Steps(100);
  Sequence made = 0;
  ASSERT_OK(MakeBackup(db.get(), OpenTarget(source.get(), "/target", true)->get(), {}, &made));
  ASSERT_OK(db->Close());
  RecordingVfs vfs;
  auto target = OpenTarget(source.get(), "/target", false);
  ASSERT_OK(RestoreBackup(target->get(), &vfs, "/copy", {}, {}, nullptr));
  vfs.Mark(1, kDone);
  uint64_t opened = 0;
  const uint64_t judged = Judge(&vfs, 0, history.rng().Next(), [&](const CrashState& s) {
    auto image = s.MakeVfs();
    std::string what, dump;
    if (CommitAt(image.get(), "/copy", history, &what, &dump)) {
      ++opened;
      if (dump != history.At(made)) fail_msg("%s: another commit", s.ToString().c_str());
    } else if (s.mark(kDone) != 0) {
      fail_msg("%s: restored, and does not open: %s", s.ToString().c_str(), what.c_str());
    }
  });
  std::printf("restore: %llu states, %llu of them open\n", static_cast<unsigned long long>(judged),
              static_cast<unsigned long long>(opened));
  assert_true(opened > 0 && opened < judged);
}

// A stream while the database is written: what it said was shipped comes back, and what comes back
// is the state after one commit; the database itself never falls behind its target. The same beside
// prunings of its generation, which has several bases.
void CrashStream(bool pruned) {
  RecordingVfs vfs;
  auto db = OpenDb(&vfs, "/db");
  CommitHistory history(Seed(pruned ? "stream, pruned" : "stream"));
  history.Use(db.get());
  history.Steps(40);
  const size_t from = vfs.op_count();
  StreamOptions options;
  options.interval_us = 1000;
  options.base_bytes_min = 20000;
  options.base_percent = 1;
  auto stream = Stream::Start(db.get(), OpenTarget(&vfs, "/target", true).Take(), options);
  ASSERT_OK(stream.status());
  for (int i = 0; i < 25; ++i) {
    history.Steps(4);
    if (i % 2 != 0) continue;
    ASSERT_OK((*stream)->Wait(history.last(), 300000));
    vfs.Mark(history.last() + 1, kDone);
    PruneReport report;
    if (pruned)
      ASSERT_OK(PruneTarget(&vfs, OpenTarget(&vfs, "/target", false)->get(), {1, 0}, {}, &report));
  }
  stream->reset();
  ASSERT_OK(db->Close());
  db.reset();
  uint64_t restored = 0;
  const uint64_t judged = Judge(&vfs, from, history.rng().Next(), [&](const CrashState& s) {
    auto image = s.MakeVfs();
    Sequence seq = 0;
    std::string what, dump;
    Status status = RestoreFrom(image.get(), {}, &seq, &dump);
    if (!status.ok()) {
      if (s.mark(kDone) != 0 || !status.Is(Code::kMissing))
        fail_msg("%s: %s", s.ToString().c_str(), status.ToString().c_str());
      return;
    }
    ++restored;
    if (seq + 1 < s.mark(kDone))
      fail_msg("%s: commit %d came back, %d was shipped", s.ToString().c_str(),
               static_cast<int>(seq), static_cast<int>(s.mark(kDone)) - 1);
    if (dump != history.At(seq)) fail_msg("%s: another state", s.ToString().c_str());
    // The database, recovered, holds that commit too.
    if (!CommitAt(image.get(), "/db", history, &what, &dump))
      fail_msg("%s: the original: %s", s.ToString().c_str(), what.c_str());
    bool reached = false;
    for (auto it = history.states().lower_bound(seq); it != history.states().end(); ++it)
      reached |= it->second == dump;
    if (!reached) fail_msg("%s: the target is ahead of the database", s.ToString().c_str());
  });
  std::printf("stream%s: %llu states, %llu of them restored\n", pruned ? ", pruned" : "",
              static_cast<unsigned long long>(judged), static_cast<unsigned long long>(restored));
  assert_true(restored > 0);
}

void copies_crash__stream(void**) { CrashStream(false); }
void copies_crash__stream_beside_prunings(void**) { CrashStream(true); }

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(copies_crash__checkpoint),
      cmocka_unit_test(copies_crash__backup),
      cmocka_unit_test(copies_crash__prune),
      cmocka_unit_test(copies_crash__restore),
      cmocka_unit_test(copies_crash__stream),
      cmocka_unit_test(copies_crash__stream_beside_prunings),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
