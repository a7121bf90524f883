// Crash-state enumeration of copies: whatever a crash leaves of a copy that was being made, it
// opens as the state after one commit or is refused, it is whole once the call has returned, and
// the original is as safe as without it. KIST_CRASH_STATES sets how many states are judged.
#include <cstdio>
#include <cstdlib>

#include "backup/checkpoint.h"
#include "support/crash_states.h"
#include "support/history.h"

namespace kist::test {
namespace {

constexpr int kDone = 1;     // mark kinds: the call returned with this commit
constexpr int kDurable = 0;  // this commit is durable in the original

uint64_t States() {
  const char* v = std::getenv("KIST_CRASH_STATES");
  return v != nullptr ? std::strtoull(v, nullptr, 10) : 1500;
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
bool CommitAt(Vfs* vfs, const std::string& path, const History& history, std::string* what,
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

void copies_crash__checkpoint(void**) {
  RecordingVfs vfs;
  auto db = OpenDb(&vfs, "/db");
  History history(Seed("checkpoint"));
  history.Use(db.get());
  history.Steps(120);
  ASSERT_OK(db->Sync());
  const size_t from = vfs.op_count();
  vfs.Mark(history.last() + 1, kDurable);  // marks are never 0
  Sequence seq = 0;
  ASSERT_OK(MakeCheckpoint(db.get(), &vfs, "/copy", &seq));
  vfs.Mark(seq + 1, kDone);
  history.Steps(10);
  ASSERT_OK(db->Close());
  db.reset();

  CrashOptions options;
  options.first_boundary = from;
  options.seed = history.rng().Next();
  const uint64_t all =
      CrashStates(vfs.GetTrace(), options).ForEach([](const CrashState&) { return true; });
  options.shards = static_cast<uint32_t>(all / States() + 1);
  uint64_t opened = 0;
  const uint64_t judged = CrashStates(vfs.GetTrace(), options).ForEach([&](const CrashState& s) {
    auto image = s.MakeVfs();
    std::string what, dump;
    if (!CommitAt(image.get(), "/db", history, &what, &dump))
      fail_msg("%s: the original: %s", s.ToString().c_str(), what.c_str());
    if (CommitAt(image.get(), "/copy", history, &what, &dump)) {
      ++opened;
      // It holds what was acknowledged before it was begun.
      if (dump != history.At(seq)) fail_msg("%s: another commit", s.ToString().c_str());
    } else if (s.mark(kDone) != 0) {
      fail_msg("%s: made, and does not open: %s", s.ToString().c_str(), what.c_str());
    }
    return true;
  });
  std::printf("checkpoint: %llu states, %llu of them with a copy that opens\n",
              static_cast<unsigned long long>(judged), static_cast<unsigned long long>(opened));
  assert_true(opened > 0 && opened < judged);
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(copies_crash__checkpoint),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
