// The crash model itself: recorded traces whose possible outcomes are known, and the whole against
// a replay.
#include "support/crash_states.h"

#include <functional>
#include <set>

#include "support/fault_vfs.h"
#include "support/unit_test.h"

using namespace kist;
using namespace kist::test;

namespace {

// "name=contents" of every file, sorted; "name/" of directories.
std::string Describe(Vfs* vfs, const std::string& dir = "/") {
  std::string out;
  auto names = vfs->List(dir);
  ASSERT_OK(names);
  for (const std::string& name : *names) {
    const std::string path = JoinPath(dir, name);
    if ((*vfs->Stat(path)).is_directory) {
      out += name + "/{" + Describe(vfs, path) + "}";
    } else {
      out += name + "=" + *ReadFile(vfs, path) + ";";
    }
  }
  return out;
}

std::set<std::string> Outcomes(const Trace& trace, CrashOptions options = CrashOptions()) {
  std::set<std::string> outcomes;
  CrashStates(trace, options).ForEach([&](const CrashState& s) {
    const auto vfs = s.MakeVfs();
    outcomes.insert(Describe(vfs.get()));
    return true;
  });
  return outcomes;
}

CrashOptions AtEnd(const Trace& trace) {
  CrashOptions options;
  options.first_boundary = trace.ops.size();
  return options;
}

std::unique_ptr<File> MustCreate(Vfs* vfs, const std::string& path) {
  auto file = vfs->Open(path, OpenMode::kCreateNew);
  ASSERT_OK(file);
  return file.Take();
}

}  // namespace

static void crash_states__data_size_and_name_are_independent(void**) {
  RecordingVfs vfs;
  auto file = MustCreate(&vfs, "/a");
  ASSERT_OK(file->Write(0, "xy"));
  const auto outcomes = Outcomes(vfs.GetTrace());
  const std::set<std::string> expected = {"", "a=;", std::string("a=\0\0;", 5), "a=xy;"};
  assert_true(outcomes == expected);
}

static void crash_states__sync_makes_data_durable_but_not_the_name(void**) {
  RecordingVfs vfs;
  auto file = MustCreate(&vfs, "/a");
  ASSERT_OK(file->Write(0, "xy"));
  ASSERT_OK(file->Sync());
  assert_true(Outcomes(vfs.GetTrace(), AtEnd(vfs.GetTrace())) ==
              std::set<std::string>({"", "a=xy;"}));
  ASSERT_OK(vfs.SyncDir("/"));
  assert_true(Outcomes(vfs.GetTrace(), AtEnd(vfs.GetTrace())) == std::set<std::string>({"a=xy;"}));
}

static void crash_states__replace_file_is_atomic_and_its_shortcuts_are_not(void**) {
  const auto run = [](const std::function<void(RecordingVfs*)>& body) {
    RecordingVfs first;
    ASSERT_OK(ReplaceFile(&first, "/CURRENT", "old"));
    RecordingVfs vfs(first.memory()->Image());
    body(&vfs);
    std::set<std::string> current;
    CrashStates(vfs.GetTrace()).ForEach([&](const CrashState& s) {
      const auto image = s.MakeVfs();
      const auto data = ReadFile(image.get(), "/CURRENT");
      current.insert(data.ok() ? *data : "missing");
      return true;
    });
    return current;
  };
  assert_true(run([](RecordingVfs* v) { ASSERT_OK(ReplaceFile(v, "/CURRENT", "new")); }) ==
              std::set<std::string>({"old", "new"}));
  const auto unsynced = run([](RecordingVfs* v) {
    ASSERT_OK(MustCreate(v, "/CURRENT.tmp")->Write(0, "new"));
    ASSERT_OK(v->Rename("/CURRENT.tmp", "/CURRENT"));
    ASSERT_OK(v->SyncDir("/"));
  });
  assert_true(unsynced.count("") == 1);  // the rename before its data
  const auto removed = run([](RecordingVfs* v) {
    ASSERT_OK(v->Remove("/CURRENT"));
    auto file = MustCreate(v, "/CURRENT");
    ASSERT_OK(file->Write(0, "new"));
    ASSERT_OK(file->Sync());
  });
  assert_true(removed.count("missing") == 1);
}

static void crash_states__names_are_ordered_for_each_name_only(void**) {
  RecordingVfs vfs;
  MustCreate(&vfs, "/a");
  MustCreate(&vfs, "/b");
  ASSERT_OK(vfs.Rename("/a", "/c"));
  const auto outcomes = Outcomes(vfs.GetTrace(), AtEnd(vfs.GetTrace()));
  // c needs a's creation; b stands for itself; a and c never exist together.
  const std::set<std::string> possible = {"", "a=;", "b=;", "c=;", "a=;b=;", "b=;c=;"};
  for (const auto& o : outcomes) assert_true(possible.count(o) == 1);
  assert_true(outcomes.count("b=;") == 1 && outcomes.count("c=;") == 1 &&
              outcomes.count("b=;c=;") == 1);
}

static void crash_states__new_directory_needs_its_own_name(void**) {
  RecordingVfs vfs;
  ASSERT_OK(vfs.MakeDir("/db"));
  auto file = MustCreate(&vfs, "/db/a");
  ASSERT_OK(file->Write(0, "x"));
  ASSERT_OK(file->Sync());
  ASSERT_OK(vfs.SyncDir("/db"));
  assert_true(Outcomes(vfs.GetTrace(), AtEnd(vfs.GetTrace())) ==
              std::set<std::string>({"", "db/{a=x;}"}));
  ASSERT_OK(vfs.SyncDir("/"));
  assert_true(Outcomes(vfs.GetTrace(), AtEnd(vfs.GetTrace())) ==
              std::set<std::string>({"db/{a=x;}"}));
}

static void crash_states__writes_tear_at_sectors_only(void**) {
  RecordingVfs vfs;
  auto file = MustCreate(&vfs, "/a");
  ASSERT_OK(file->Write(0, std::string(2048, 'o')));
  ASSERT_OK(file->Sync());
  ASSERT_OK(vfs.SyncDir("/"));
  ASSERT_OK(file->Write(0, std::string(2048, 'n')));
  CrashOptions options = AtEnd(vfs.GetTrace());
  options.random_subsets = 200;
  const auto outcomes = Outcomes(vfs.GetTrace(), options);
  assert_int_equal(outcomes.size(), 16);  // each of four sectors old or new
  for (const std::string& o : outcomes) {
    for (size_t s = 0; s < 4; ++s) {
      const std::string sector = o.substr(2 + s * 512, 512);
      assert_true(sector == std::string(512, 'o') || sector == std::string(512, 'n'));
    }
  }
}

static void crash_states__a_sector_holds_all_earlier_writes_to_it(void**) {
  RecordingVfs vfs;
  auto file = MustCreate(&vfs, "/a");
  ASSERT_OK(file->Preallocate(1024));
  ASSERT_OK(file->Sync());
  ASSERT_OK(vfs.SyncDir("/"));
  ASSERT_OK(file->Write(0, "A"));
  ASSERT_OK(file->Write(1, "B"));
  ASSERT_OK(file->Write(512, "C"));
  std::set<std::string> seen;
  CrashOptions options = AtEnd(vfs.GetTrace());
  options.random_subsets = 100;
  CrashStates(vfs.GetTrace(), options).ForEach([&](const CrashState& s) {
    const std::string data = *ReadFile(s.MakeVfs().get(), "/a");
    seen.insert({data[0] ? data[0] : '-', data[1] ? data[1] : '-', data[512] ? data[512] : '-'});
    return true;
  });
  assert_true(seen == std::set<std::string>({"---", "A--", "AB-", "--C", "A-C", "ABC"}));
}

static void crash_states__garbage_only_in_new_regions(void**) {
  RecordingVfs vfs;
  auto file = MustCreate(&vfs, "/a");
  ASSERT_OK(file->Write(0, std::string(512, 'o')));
  ASSERT_OK(file->Sync());
  ASSERT_OK(vfs.SyncDir("/"));
  ASSERT_OK(file->Write(0, std::string(1024, 'n')));
  CrashOptions options = AtEnd(vfs.GetTrace());
  options.garbage = true;
  bool garbage = false;
  CrashStates(vfs.GetTrace(), options).ForEach([&](const CrashState& s) {
    const std::string data = *ReadFile(s.MakeVfs().get(), "/a");
    assert_true(data[0] == 'o' || data[0] == 'n');
    if (data.size() == 1024) garbage |= data[512] != '\0' && data[512] != 'n';
    return true;
  });
  assert_true(garbage);
}

static void crash_states__cut_and_grown_again_never_shows_foreign_bytes(void**) {
  RecordingVfs vfs;
  auto file = MustCreate(&vfs, "/a");
  ASSERT_OK(file->Write(0, std::string(1500, 'o')));
  ASSERT_OK(file->Sync());
  ASSERT_OK(vfs.SyncDir("/"));
  ASSERT_OK(file->Truncate(100));
  ASSERT_OK(file->Write(600, "n"));
  CrashOptions options = AtEnd(vfs.GetTrace());
  options.random_subsets = 100;
  std::set<size_t> sizes;
  CrashStates(vfs.GetTrace(), options).ForEach([&](const CrashState& s) {
    const std::string data = *ReadFile(s.MakeVfs().get(), "/a");
    sizes.insert(data.size());
    for (size_t i = 0; i < data.size(); ++i) {
      const bool fine = data[i] == '\0' || data[i] == 'o' || (i == 600 && data[i] == 'n');
      assert_true(fine && (i >= 100 || data[i] == 'o'));
    }
    return true;
  });
  assert_true(sizes == std::set<size_t>({100, 601, 1500}));
}

static void crash_states__marks_tell_what_was_acknowledged(void**) {
  RecordingVfs vfs;
  auto file = MustCreate(&vfs, "/log");
  ASSERT_OK(vfs.SyncDir("/"));
  for (uint64_t i = 1; i <= 20; ++i) {
    vfs.Mark(i, 1);  // begun
    ASSERT_OK(file->Write(file->Size().Take(), "c"));
    ASSERT_OK(file->Sync());
    vfs.Mark(i);
  }
  uint64_t highest = 0;
  const uint64_t states = CrashStates(vfs.GetTrace()).ForEach([&](const CrashState& s) {
    const auto image = s.MakeVfs();
    const auto data = ReadFile(image.get(), "/log");
    size_t whole = 0;
    while (data.ok() && whole < (*data).size() && (*data)[whole] == 'c') ++whole;
    if (whole < s.mark() || whole > s.mark(1)) fail_msg("%s", s.ToString().c_str());
    highest = std::max(highest, s.mark());
    return true;
  });
  assert_int_equal(highest, 20);
  assert_in_range(states, 60, 400);
}

static void crash_states__lost_sync_is_found(void**) {
  RecordingVfs recording;
  FaultVfs vfs(&recording, true);
  auto file = MustCreate(&vfs, "/log");
  ASSERT_OK(vfs.SyncDir("/"));
  Fault fault(kFaultSync, 1, EIO);
  fault.data_lost = true;
  vfs.Fail(fault);
  ASSERT_OK(file->Write(0, "commit"));
  ASSERT_CODE(file->Sync(), Code::kIo);
  ASSERT_OK(file->Sync());  // what a careless engine does
  recording.Mark(1);
  bool found = false;
  const Trace trace = recording.GetTrace();
  CrashStates(trace, AtEnd(trace)).ForEach([&](const CrashState& s) {
    found |= *ReadFile(s.MakeVfs().get(), "/log") != "commit" && s.mark() == 1;
    return true;
  });
  assert_true(found);
}

static void crash_states__image_can_be_recorded_and_crashed_again(void**) {
  RecordingVfs vfs;
  auto file = MustCreate(&vfs, "/a");
  ASSERT_OK(file->Write(0, "12"));
  std::set<std::string> twice;
  CrashStates(vfs.GetTrace()).ForEach([&](const CrashState& s) {
    const auto again = s.MakeRecording();
    if (!again->Stat("/a").ok()) return true;
    ASSERT_OK((*again->Open("/a", OpenMode::kReadWrite))->Write(0, "34"));
    for (const auto& o : Outcomes(again->GetTrace())) twice.insert(o);
    return true;
  });
  const std::set<std::string> expected = {"a=;", std::string("a=\0\0;", 5), "a=12;", "a=34;"};
  assert_true(twice == expected);
}

static void crash_states__shards_share_the_states(void**) {
  RecordingVfs vfs;
  for (int i = 0; i < 6; ++i) {
    ASSERT_OK(MustCreate(&vfs, "/" + std::to_string(i))->Write(0, std::string(1000, 'x')));
  }
  const uint64_t whole =
      CrashStates(vfs.GetTrace()).ForEach([](const CrashState&) { return true; });
  uint64_t sum = 0;
  for (uint32_t shard = 0; shard < 3; ++shard) {
    CrashOptions options;
    options.shard = shard;
    options.shards = 3;
    sum += CrashStates(vfs.GetTrace(), options).ForEach([](const CrashState&) { return true; });
  }
  assert_int_equal(sum, whole);
  uint64_t stopped =
      CrashStates(vfs.GetTrace()).ForEach([](const CrashState& s) { return s.index() < 9; });
  assert_int_equal(stopped, 10);
}

// Random traces: the last state with all units is what the file system held; after syncing
// everything it is the only one.
static void crash_states__random_traces_against_the_live_file_system(void**) {
  Rng rng(Seed("crash_states"));
  for (int round = 0; round < 40; ++round) {
    RecordingVfs vfs;
    ASSERT_OK(vfs.MakeDir("/d"));
    for (int i = 0; i < 60; ++i) {
      const std::string a = "/d/" + std::to_string(rng.Below(4));
      const std::string b = "/d/" + std::to_string(rng.Below(4));
      const uint64_t what = rng.Below(10);
      if (what < 5) {
        auto file = vfs.Open(a, OpenMode::kReadWrite);
        if (!file.ok()) file = vfs.Open(a, OpenMode::kCreateNew);
        ASSERT_OK((*file)->Write(rng.Below(3000), rng.Bytes(rng.Below(3000), 'a', 26)));
        if (rng.OneIn(3)) ASSERT_OK((*file)->Sync());
        if (rng.OneIn(4)) ASSERT_OK((*file)->Truncate(rng.Below(3000)));
      } else if (what == 5) {
        static_cast<void>(vfs.Remove(a).ok());
      } else if (what == 6) {
        static_cast<void>(vfs.Rename(a, b).ok());
      } else if (what == 7) {
        static_cast<void>(vfs.Link(a, b).ok());
      } else if (what == 8) {
        ASSERT_OK(vfs.SyncDir("/d"));
      } else {
        static_cast<void>(vfs.Open(a, OpenMode::kCreateOrTruncate).ok());
      }
    }
    const std::string live = Describe(&vfs);
    assert_true(Outcomes(vfs.GetTrace(), AtEnd(vfs.GetTrace())).count(live) == 1);
    for (int i = 0; i < 4; ++i) {
      auto file = vfs.Open("/d/" + std::to_string(i), OpenMode::kReadWrite);
      if (file.ok()) ASSERT_OK((*file)->Sync());
    }
    ASSERT_OK(vfs.SyncDir("/d"));
    ASSERT_OK(vfs.SyncDir("/"));
    assert_true(Outcomes(vfs.GetTrace(), AtEnd(vfs.GetTrace())) == std::set<std::string>({live}));
  }
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(crash_states__data_size_and_name_are_independent),
      cmocka_unit_test(crash_states__sync_makes_data_durable_but_not_the_name),
      cmocka_unit_test(crash_states__replace_file_is_atomic_and_its_shortcuts_are_not),
      cmocka_unit_test(crash_states__names_are_ordered_for_each_name_only),
      cmocka_unit_test(crash_states__new_directory_needs_its_own_name),
      cmocka_unit_test(crash_states__writes_tear_at_sectors_only),
      cmocka_unit_test(crash_states__a_sector_holds_all_earlier_writes_to_it),
      cmocka_unit_test(crash_states__garbage_only_in_new_regions),
      cmocka_unit_test(crash_states__cut_and_grown_again_never_shows_foreign_bytes),
      cmocka_unit_test(crash_states__marks_tell_what_was_acknowledged),
      cmocka_unit_test(crash_states__lost_sync_is_found),
      cmocka_unit_test(crash_states__image_can_be_recorded_and_crashed_again),
      cmocka_unit_test(crash_states__shards_share_the_states),
      cmocka_unit_test(crash_states__random_traces_against_the_live_file_system),
  };
  return cmocka_run_group_tests_name("crash_states", tests, nullptr, nullptr);
}
