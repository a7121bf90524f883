// The contract of vfs.h, held by every implementation alike: each test runs on the posix and on the
// memory Vfs.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <thread>

#include "support/unit_test.h"
#include "vfs/memory_vfs.h"
#include "vfs/vfs.h"

using kist::Code;
using kist::File;
using kist::OpenMode;
using kist::Result;
using kist::Slice;
using kist::Vfs;
using kist::test::Rng;
using kist::test::TempDir;

namespace {

// One implementation and an empty directory in it.
struct Place {
  Vfs* vfs;
  std::string dir;
  std::string File(const std::string& name) const { return kist::JoinPath(dir, name); }
};

using Body = void (*)(const Place&);

void OnEach(Body body) {
  const TempDir temp;
  body({kist::PosixVfs(), temp.path()});
  const auto memory = kist::NewMemoryVfs();
  ASSERT_OK(memory->MakeDir("/db"));
  body({memory.get(), "/db"});
}

std::unique_ptr<File> MustOpen(const Place& p, const std::string& name, OpenMode mode) {
  auto file = p.vfs->Open(p.File(name), mode);
  ASSERT_OK(file);
  return file.Take();
}

std::string Contents(const Place& p, const std::string& name) {
  auto data = kist::ReadFile(p.vfs, p.File(name));
  ASSERT_OK(data);
  return data.Take();
}

void Put(const Place& p, const std::string& name, Slice data) {
  ASSERT_OK(MustOpen(p, name, OpenMode::kCreateOrTruncate)->Write(0, data));
}

std::vector<std::string> Sorted(const Place& p, const std::string& dir) {
  auto names = p.vfs->List(dir);
  ASSERT_OK(names);
  std::sort((*names).begin(), (*names).end());
  return names.Take();
}

}  // namespace

static void vfs__open_modes(void**) {
  OnEach([](const Place& p) {
    ASSERT_CODE(p.vfs->Open(p.File("a"), OpenMode::kRead), Code::kMissing);
    ASSERT_CODE(p.vfs->Open(p.File("a"), OpenMode::kReadWrite), Code::kMissing);
    ASSERT_CODE(p.vfs->Open(p.File("no/a"), OpenMode::kCreateNew), Code::kMissing);
    ASSERT_OK(MustOpen(p, "a", OpenMode::kCreateNew)->Write(0, "hello"));
    const auto exists = p.vfs->Open(p.File("a"), OpenMode::kCreateNew);
    ASSERT_CODE(exists, Code::kExists);
    assert_int_equal(exists.status().sys_errno(), EEXIST);
    assert_true(exists.status().message().find(p.File("a")) != std::string::npos);
    ASSERT_SLICE(Contents(p, "a"), "hello");
    ASSERT_OK(MustOpen(p, "a", OpenMode::kReadWrite)->Write(5, " you"));
    ASSERT_SLICE(Contents(p, "a"), "hello you");
    const auto reader = MustOpen(p, "a", OpenMode::kRead);
    ASSERT_CODE(reader->Write(0, "x"), Code::kIo);
    MustOpen(p, "a", OpenMode::kCreateOrTruncate);
    ASSERT_SLICE(Contents(p, "a"), "");
  });
}

static void vfs__reads_stop_at_the_end_only(void**) {
  OnEach([](const Place& p) {
    Put(p, "a", "0123456789");
    const auto file = MustOpen(p, "a", OpenMode::kRead);
    char buf[16];
    assert_int_equal(*file->Read(0, buf, 16), 10);
    assert_int_equal(*file->Read(4, buf, 3), 3);
    ASSERT_SLICE(Slice(buf, 3), "456");
    assert_int_equal(*file->Read(9, buf, 16), 1);
    assert_int_equal(*file->Read(10, buf, 16), 0);
    assert_int_equal(*file->Read(1000, buf, 16), 0);
    assert_int_equal(*file->Read(0, buf, 0), 0);
  });
}

static void vfs__impossible_offsets_fail_cleanly(void**) {
  OnEach([](const Place& p) {
    const auto file = MustOpen(p, "a", OpenMode::kCreateNew);
    const Slice part("x");
    ASSERT_CODE(file->Write(UINT64_MAX - 1, "abc"), Code::kNoSpace);
    ASSERT_CODE(file->WriteV(UINT64_MAX - 1, &part, 1), Code::kNoSpace);
    assert_int_equal(*file->Size(), 0);
  });
}

static void vfs__writev_of_many_parts_is_one_range(void**) {
  OnEach([](const Place& p) {
    Rng rng(kist::test::Seed("writev"));
    std::vector<std::string> bytes;
    std::string whole;
    for (int i = 0; i < 3000; ++i) bytes.push_back(rng.Bytes(rng.OneIn(4) ? 0 : rng.Below(50)));
    std::vector<Slice> parts(bytes.begin(), bytes.end());
    for (const std::string& b : bytes) whole += b;
    const auto file = MustOpen(p, "a", OpenMode::kCreateNew);
    ASSERT_OK(file->WriteV(7, parts.data(), parts.size()));
    ASSERT_OK(file->WriteV(7, parts.data(), 0));
    assert_true(Contents(p, "a") == std::string(7, '\0') + whole);
  });
}

static void vfs__truncate_cuts_and_extends_with_zeros(void**) {
  OnEach([](const Place& p) {
    const auto file = MustOpen(p, "a", OpenMode::kCreateNew);
    ASSERT_OK(file->Write(0, std::string(40000, 'x')));
    ASSERT_OK(file->Truncate(20001));
    assert_int_equal(*file->Size(), 20001);
    ASSERT_OK(file->Truncate(50000));
    assert_true(Contents(p, "a") == std::string(20001, 'x') + std::string(29999, '\0'));
    ASSERT_OK(file->Truncate(0));
    assert_int_equal(*file->Size(), 0);
  });
}

static void vfs__preallocate_reserves_zeros_and_cuts_nothing(void**) {
  OnEach([](const Place& p) {
    const auto file = MustOpen(p, "a", OpenMode::kCreateNew);
    ASSERT_OK(file->Write(0, "head"));
    const kist::Status s = file->Preallocate(200000);
    if (s.Is(Code::kUnsupported)) return;  // this file system cannot
    ASSERT_OK(s);
    assert_int_equal(*file->Size(), 200000);
    ASSERT_OK(file->Preallocate(100));
    assert_int_equal(*file->Size(), 200000);
    assert_true(Contents(p, "a") == "head" + std::string(199996, '\0'));
    ASSERT_OK(file->Write(150000, "tail"));
    const uint64_t next = *file->NextData(100000);
    assert_in_range(next, 100000, 150000);
    assert_in_range(*file->NextData(199999), 199999, 200000);
  });
}

static void vfs__hints_and_maps_change_nothing(void**) {
  OnEach([](const Place& p) {
    const auto file = MustOpen(p, "a", OpenMode::kCreateNew);
    assert_null(file->Map(0));
    assert_null(file->Map(100));
    ASSERT_OK(file->Write(0, std::string(10000, 'm')));
    file->StartWriteback(0, 10000);
    file->ReadAhead(0, 1 << 20);
    file->ReadAhead(UINT64_MAX, UINT64_MAX);
    ASSERT_OK(file->Sync());
    const char* view = file->Map(10000);
    if (view != nullptr) {
      assert_true(std::string(view, 10000) == std::string(10000, 'm'));
      assert_ptr_equal(file->Map(5000), view);
    }
  });
}

static void vfs__names_move_link_and_go(void**) {
  OnEach([](const Place& p) {
    Put(p, "a", "A");
    Put(p, "b", "B");
    ASSERT_CODE(p.vfs->Rename(p.File("none"), p.File("b")), Code::kMissing);
    ASSERT_OK(p.vfs->Rename(p.File("a"), p.File("b")));
    ASSERT_SLICE(Contents(p, "b"), "A");
    ASSERT_CODE(p.vfs->Stat(p.File("a")), Code::kMissing);
    ASSERT_OK(p.vfs->Link(p.File("b"), p.File("c")));
    ASSERT_CODE(p.vfs->Link(p.File("b"), p.File("c")), Code::kExists);
    ASSERT_CODE(p.vfs->Link(p.File("none"), p.File("d")), Code::kMissing);
    assert_int_equal((*p.vfs->Stat(p.File("b"))).inode, (*p.vfs->Stat(p.File("c"))).inode);
    assert_int_equal((*p.vfs->Stat(p.File("b"))).device, (*p.vfs->Stat(p.File("c"))).device);
    ASSERT_OK(MustOpen(p, "c", OpenMode::kReadWrite)->Write(1, "+"));
    ASSERT_SLICE(Contents(p, "b"), "A+");
    ASSERT_OK(p.vfs->Remove(p.File("b")));
    ASSERT_CODE(p.vfs->Remove(p.File("b")), Code::kMissing);
    ASSERT_SLICE(Contents(p, "c"), "A+");
    assert_true(Sorted(p, p.dir) == std::vector<std::string>({"c"}));
  });
}

static void vfs__open_file_outlives_its_name(void**) {
  OnEach([](const Place& p) {
    const auto file = MustOpen(p, "a", OpenMode::kCreateNew);
    ASSERT_OK(file->Write(0, "still here"));
    ASSERT_OK(p.vfs->Remove(p.File("a")));
    Put(p, "a", "another");
    char buf[32];
    assert_int_equal(*file->Read(0, buf, sizeof buf), 10);
    ASSERT_OK(file->Sync());
  });
}

static void vfs__directories(void**) {
  OnEach([](const Place& p) {
    ASSERT_CODE(p.vfs->List(p.File("d")), Code::kMissing);
    ASSERT_CODE(p.vfs->SyncDir(p.File("d")), Code::kMissing);
    ASSERT_CODE(p.vfs->MakeDir(p.File("no/d")), Code::kMissing);
    ASSERT_OK(p.vfs->MakeDir(p.File("d")));
    ASSERT_CODE(p.vfs->MakeDir(p.File("d")), Code::kExists);
    Put(p, "f", "x");
    ASSERT_CODE(p.vfs->MakeDir(p.File("f")), Code::kExists);
    assert_true((*p.vfs->Stat(p.File("d"))).is_directory);
    assert_false((*p.vfs->Stat(p.File("f"))).is_directory);
    assert_int_equal((*p.vfs->Stat(p.File("f"))).bytes, 1);
    Put(p, "d/one", "1");
    Put(p, "d/two", "2");
    assert_true(Sorted(p, p.File("d")) == std::vector<std::string>({"one", "two"}));
    ASSERT_OK(p.vfs->SyncDir(p.File("d")));
    ASSERT_CODE(p.vfs->RemoveDir(p.File("d")), Code::kExists);
    ASSERT_OK(p.vfs->Remove(p.File("d/one")));
    ASSERT_OK(p.vfs->Remove(p.File("d/two")));
    ASSERT_OK(p.vfs->RemoveDir(p.File("d")));
    ASSERT_CODE(p.vfs->RemoveDir(p.File("d")), Code::kMissing);
    assert_false(p.vfs->Remove(p.dir).ok());
  });
}

static void vfs__lock_excludes_and_is_freed(void**) {
  OnEach([](const Place& p) {
    auto first = p.vfs->Lock(p.File("LOCK"));
    ASSERT_OK(first);
    ASSERT_CODE(p.vfs->Lock(p.File("LOCK")), Code::kLocked);
    ASSERT_CODE(p.vfs->Lock(p.File("./LOCK")), Code::kLocked);
    MustOpen(p, "LOCK", OpenMode::kRead).reset();  // closing another descriptor frees nothing
    ASSERT_CODE(p.vfs->Lock(p.File("LOCK")), Code::kLocked);
    auto other = p.vfs->Lock(p.File("LOCK2"));
    ASSERT_OK(other);
    first.Take().reset();
    ASSERT_OK(p.vfs->Stat(p.File("LOCK")));  // never unlinked
    auto again = p.vfs->Lock(p.File("LOCK"));
    ASSERT_OK(again);
    ASSERT_CODE(p.vfs->Lock(p.File("no/LOCK")), Code::kMissing);
  });
}

static void vfs__clock_random_sleep(void**) {
  OnEach([](const Place& p) {
    assert_true(p.vfs->WallMs() > 1700000000000);
    const uint64_t before = p.vfs->MonotonicUs();
    p.vfs->SleepUs(2000);
    assert_true(p.vfs->MonotonicUs() - before >= 2000);
    char a[32] = {};
    char b[32] = {};
    p.vfs->Random(a, sizeof a);
    p.vfs->Random(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
  });
}

static void vfs__threads_run_and_join(void**) {
  OnEach([](const Place& p) {
    std::atomic<int> ran{0};
    auto a = p.vfs->Start("kist-a-name-that-is-too-long", [&ran] { ran.fetch_add(1); });
    ASSERT_OK(a);
    auto b = p.vfs->Start("b", [&ran] { ran.fetch_add(1); });
    ASSERT_OK(b);
    (*a)->Join();
    (*a)->Join();
    b.Take().reset();
    assert_int_equal(ran.load(), 2);
    auto guard = p.vfs->MakeForkGuard();
    ASSERT_OK(guard);
    assert_false((*guard)->InChild());
  });
}

static void vfs__replace_file_is_whole_and_leaves_no_rest(void**) {
  OnEach([](const Place& p) {
    ASSERT_OK(kist::ReplaceFile(p.vfs, p.File("CURRENT"), "MANIFEST-000001\n"));
    ASSERT_OK(kist::ReplaceFile(p.vfs, p.File("CURRENT"), "MANIFEST-000002\n"));
    ASSERT_SLICE(Contents(p, "CURRENT"), "MANIFEST-000002\n");
    assert_true(Sorted(p, p.dir) == std::vector<std::string>({"CURRENT"}));
    ASSERT_CODE(kist::ReadFile(p.vfs, p.File("CURRENT"), 5), Code::kNoMem);
    ASSERT_CODE(kist::ReplaceFile(p.vfs, p.File("no/CURRENT"), "x"), Code::kMissing);
    ASSERT_OK(kist::ReplaceFile(p.vfs, p.File("empty"), ""));
    ASSERT_SLICE(Contents(p, "empty"), "");
  });
}

// Random operations on a few files against std::string.
static void vfs__random_operations_match_a_model(void**) {
  const uint64_t seed = kist::test::Seed("vfs");
  static uint64_t shared_seed;
  shared_seed = seed;
  OnEach([](const Place& p) {
    Rng rng(shared_seed);
    std::map<std::string, std::string> model;
    for (int i = 0; i < 3000; ++i) {
      const std::string name(1, static_cast<char>('a' + rng.Below(4)));
      std::string& want = model[name];
      const auto opened = p.vfs->Open(p.File(name), OpenMode::kReadWrite);
      const auto file = opened.ok() ? MustOpen(p, name, OpenMode::kReadWrite)
                                    : MustOpen(p, name, OpenMode::kCreateNew);
      const size_t at = rng.Below(60000);
      if (rng.OneIn(8)) {
        ASSERT_OK(file->Truncate(at));
        want.resize(at);
      } else if (rng.OneIn(20)) {
        ASSERT_OK(p.vfs->Remove(p.File(name)));
        want.clear();
      } else if (rng.OneIn(3)) {
        std::string got(rng.Below(40000), '?');
        got.resize(*file->Read(at, got.data(), got.size()));
        const std::string expected = at >= want.size() ? "" : want.substr(at, got.size());
        assert_true(got == expected);
      } else {
        const std::string data = rng.Bytes(rng.Below(30000));
        ASSERT_OK(file->Write(at, data));
        if (!data.empty() && want.size() < at + data.size()) want.resize(at + data.size());
        want.replace(at < want.size() ? at : want.size(), data.size(), data);
      }
      if (i % 100 == 0) {
        for (const auto& m : model) {
          const auto got = kist::ReadFile(p.vfs, p.File(m.first));
          if (got.ok()) assert_true(*got == m.second);
        }
      }
    }
  });
}

static void vfs__concurrent_readers_beside_an_appender(void**) {
  OnEach([](const Place& p) {
    const auto file = MustOpen(p, "log", OpenMode::kCreateNew);
    std::atomic<uint64_t> written{0};
    std::vector<std::thread> readers;
    for (int r = 0; r < 2; ++r) {
      readers.emplace_back([&] {
        uint64_t seen = 0;
        while (seen < 2000 * 100) {
          const uint64_t n = written.load(std::memory_order_acquire);
          if (n == seen) std::this_thread::yield();
          for (; seen < n; seen += 100) {
            char buf[100];
            if (!file->Read(seen, buf, 100).ok() || buf[0] != static_cast<char>(seen / 100) ||
                buf[99] != buf[0]) {
              std::abort();
            }
          }
        }
      });
    }
    for (int i = 0; i < 2000; ++i) {
      ASSERT_OK(
          file->Write(static_cast<uint64_t>(i) * 100, std::string(100, static_cast<char>(i))));
      written.fetch_add(100, std::memory_order_release);
    }
    for (auto& r : readers) r.join();
  });
}

static void vfs__paths(void**) {
  assert_string_equal(kist::JoinPath("a", "b").c_str(), "a/b");
  assert_string_equal(kist::JoinPath("a/", "b").c_str(), "a/b");
  assert_string_equal(kist::JoinPath("", "b").c_str(), "b");
  assert_string_equal(kist::JoinPath("/", "b").c_str(), "/b");
  assert_string_equal(kist::ParentDir("a/b").c_str(), "a");
  assert_string_equal(kist::ParentDir("a").c_str(), ".");
  assert_string_equal(kist::ParentDir("a/").c_str(), ".");
  assert_string_equal(kist::ParentDir("/a").c_str(), "/");
  assert_string_equal(kist::ParentDir("/a//b//").c_str(), "/a");
  assert_string_equal(kist::ParentDir("/").c_str(), "/");
  assert_string_equal(kist::ParentDir("").c_str(), ".");
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(vfs__open_modes),
      cmocka_unit_test(vfs__reads_stop_at_the_end_only),
      cmocka_unit_test(vfs__impossible_offsets_fail_cleanly),
      cmocka_unit_test(vfs__writev_of_many_parts_is_one_range),
      cmocka_unit_test(vfs__truncate_cuts_and_extends_with_zeros),
      cmocka_unit_test(vfs__preallocate_reserves_zeros_and_cuts_nothing),
      cmocka_unit_test(vfs__hints_and_maps_change_nothing),
      cmocka_unit_test(vfs__names_move_link_and_go),
      cmocka_unit_test(vfs__open_file_outlives_its_name),
      cmocka_unit_test(vfs__directories),
      cmocka_unit_test(vfs__lock_excludes_and_is_freed),
      cmocka_unit_test(vfs__clock_random_sleep),
      cmocka_unit_test(vfs__threads_run_and_join),
      cmocka_unit_test(vfs__replace_file_is_whole_and_leaves_no_rest),
      cmocka_unit_test(vfs__random_operations_match_a_model),
      cmocka_unit_test(vfs__concurrent_readers_beside_an_appender),
      cmocka_unit_test(vfs__paths),
  };
  return cmocka_run_group_tests_name("vfs", tests, nullptr, nullptr);
}
