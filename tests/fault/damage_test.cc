// Damage under a whole database: every byte of its small files flipped and zeroed, files removed,
// emptied, cut, extended, duplicated and swapped (promises G8, G9, G10). Whatever is read must be
// what was written or KIST_E_CORRUPT; a damaged database is never a new one; an open that fails has
// changed nothing; verification finds all damage of tables, manifest and CURRENT.
#include <functional>

#include "key/file_name.h"
#include "support/crash_harness.h"
#include "version/manifest.h"
#include "vfs/memory_vfs.h"

namespace kist::test {
namespace {

constexpr char kDir[] = "/db";
constexpr Durability kSync = Durability::kSync;

using Files = std::map<std::string, std::string>;

bool Quick() { return std::getenv("KIST_TEST_QUICK") != nullptr; }

std::string K(uint64_t i) { return "key" + std::to_string(100 + i); }
std::string V(uint64_t i) { return "value" + std::to_string(i) + std::string(20 + i % 30, 'v'); }

OptionSet Options(const char* more = "") {
  OptionSet set;
  ASSERT_OK(set.Parse(std::string("memory_budget=4MiB; cache_size=64KiB; write_buffer_size=64KiB;"
                                  "compaction=manual; block_size=1KiB;") +
                      more));
  return set;
}

Files Snapshot(Vfs* vfs) {
  Files files;
  auto names = vfs->List(kDir);
  ASSERT_OK(names);
  for (const std::string& name : *names) {
    auto data = ReadFile(vfs, JoinPath(kDir, name));
    ASSERT_OK(data);
    files[name] = data.Take();
  }
  return files;
}

std::unique_ptr<MemoryVfs> Build(const Files& files) {
  auto vfs = std::make_unique<MemoryVfs>();
  ASSERT_OK(vfs->MakeDir(kDir));
  for (const auto& [name, data] : files) {
    auto file = vfs->Open(JoinPath(kDir, name), OpenMode::kCreateNew);
    ASSERT_OK(file);
    ASSERT_OK((*file)->Write(0, data));
  }
  return vfs;
}

struct Sample {
  Files files;
  std::vector<std::string> states;  // after each commit of the log, oldest first
  uint64_t log_number = 0;          // of the first segment that is needed
  size_t floor = 0;                 // states[floor..] may be found where the end of the log is lost
};

// Two tables, two keyspaces, a range tombstone, and a log with synced commits that is closed in
// order or not.
Sample Make(bool closed) {
  Sample sample;
  MemoryVfs vfs;
  auto opened = Db::Open(kDir, Options("wal_preallocate=false"), LogSink(), &vfs);
  ASSERT_OK(opened);
  Db* db = opened->get();
  auto ks = db->DefaultKeyspace();
  auto one = db->OpenKeyspace("one", KeyspaceMode::kCreate, nullptr);
  ASSERT_OK(one);
  for (uint64_t i = 0; i < 24; ++i) {
    ASSERT_OK(db->Put(i % 4 == 0 ? one->get() : ks.get(), kSync, K(i % 17), V(i), 0, nullptr));
    if (i == 12) ASSERT_OK(db->DeleteRange(ks.get(), kSync, K(2), K(4), nullptr));
    if (i % 12 == 11) ASSERT_OK(db->Flush());
  }
  std::string error;
  sample.states.push_back(Serialise(ReadAll(db, &error)));
  for (uint64_t i = 0; i < 6; ++i) {
    ASSERT_OK(db->Put(ks.get(), kSync, K(i), V(100 + i), 0, nullptr));
    sample.states.push_back(Serialise(ReadAll(db, &error)));
  }
  assert_string_equal(error.c_str(), "");
  sample.floor = sample.states.size() - (closed ? 1 : 2);
  if (!closed) sample.files = Snapshot(&vfs);
  ks = RefPtr<Keyspace>();
  one = Status::Bare(Code::kClosed);
  ASSERT_OK(db->Close());
  if (closed) sample.files = Snapshot(&vfs);
  auto state = ReadManifest(Build(sample.files).get(), kDir);
  ASSERT_OK(state);
  sample.log_number = state->log_number;
  return sample;
}

FileType TypeOf(const std::string& name) { return ParseFileName(name)->type; }

bool HasContent(const std::string& name) {
  const FileType type = TypeOf(name);
  return type != FileType::kLock && type != FileType::kReserve;
}

// Opens what is left and judges it. floor: the oldest state that may be found.
void Judge(const Sample& sample, const Files& files, size_t floor, bool read_only,
           const std::string& what) {
  auto vfs = Build(files);
  const auto opened =
      Db::Open(kDir, Options(read_only ? "read_only=true" : ""), LogSink(), vfs.get());
  if (!opened.ok()) {
    if (!opened.status().Is(Code::kCorrupt) && !opened.status().Is(Code::kTooNew)) {
      fail_msg("%s: open: %s", what.c_str(), opened.status().ToString().c_str());
    }
    if (Snapshot(vfs.get()) != files) fail_msg("%s: a failed open wrote", what.c_str());
    return;
  }
  if (read_only && Snapshot(vfs.get()) != files) fail_msg("%s: a reader wrote", what.c_str());
  std::string error;
  const std::string held = Serialise(ReadAll((*opened).get(), &error));
  if (!error.empty()) {
    if (error.find("orrupt") == std::string::npos && error.find(".kst") == std::string::npos) {
      fail_msg("%s: reading: %s", what.c_str(), error.c_str());
    }
    ASSERT_CODE((*opened)->Verify(JobControl()), Code::kCorrupt);
    return;
  }
  for (size_t i = floor; i < sample.states.size(); ++i) {
    if (held == sample.states[i]) return;
  }
  fail_msg("%s: a state that never was: %s", what.c_str(), held.c_str());
}

void EachByte(const Sample& sample, const std::function<void(std::string*, size_t)>& damage,
              const char* how, size_t stride, size_t lost = 0) {
  for (const auto& [name, data] : sample.files) {
    const FileType type = TypeOf(name);
    if (!HasContent(name)) continue;
    const size_t lost_floor = sample.floor - std::min(sample.floor, lost);
    const size_t floor = type == FileType::kLog ? lost_floor : sample.states.size() - 1;
    for (size_t i = 0; i < data.size(); i += stride) {
      Files files = sample.files;
      damage(&files[name], i);
      if (files[name] == data) continue;
      Judge(sample, files, floor, i / stride % 3 != 0, name + " byte " + std::to_string(i) + how);
    }
  }
}

void damage__every_byte_flipped(void**) {
  for (const bool closed : {true, false}) {
    const Sample sample = Make(closed);
    uint64_t seed = 1;
    const auto flip = [&](std::string* data, size_t i) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      (*data)[i] = static_cast<char>((*data)[i] ^ (1 << (seed >> 61)));
    };
    EachByte(sample, flip, " flipped", Quick() ? 41 : 2);
  }
}

void damage__stretches_zeroed(void**) {
  const Sample sample = Make(false);
  for (const size_t n : {size_t{1}, size_t{8}, size_t{512}}) {
    const auto zero = [n](std::string* data, size_t i) {
      for (size_t j = i; j < i + n && j < data->size(); ++j) (*data)[j] = '\0';
    };
    // Zeros up to the end of a log that was not closed are its end, wherever they begin.
    EachByte(sample, zero, " zeroed", Quick() ? 67 : n == 512 ? 128 : 7, n == 1 ? 0 : n);
  }
}

void damage__files_removed_emptied_cut_extended(void**) {
  for (const bool closed : {true, false}) {
    const Sample sample = Make(closed);
    const size_t last = sample.states.size() - 1;
    for (const auto& [name, data] : sample.files) {
      const FileType type = TypeOf(name);
      if (!HasContent(name)) continue;
      for (const bool read_only : {true, false}) {
        Files files = sample.files;
        files.erase(name);
        if (type == FileType::kLog && ParseFileName(name)->number != sample.log_number) {
          Judge(sample, files, last, read_only, name + " removed");  // made ahead of its time
          continue;
        }
        auto vfs = Build(files);
        const auto removed =
            Db::Open(kDir, Options(read_only ? "read_only=true" : ""), LogSink(), vfs.get());
        ASSERT_CODE(removed, Code::kCorrupt);
        assert_true(Snapshot(vfs.get()) == files);
        files[name] = "";
        vfs = Build(files);
        const auto emptied =
            Db::Open(kDir, Options(read_only ? "read_only=true" : ""), LogSink(), vfs.get());
        if (emptied.ok()) fail_msg("%s emptied: opens", name.c_str());
        ASSERT_CODE(emptied, Code::kCorrupt);
        assert_true(Snapshot(vfs.get()) == files);
      }
      // A log that was not closed may end anywhere behind its last watermark.
      const size_t floor = type == FileType::kLog ? (closed ? last : 0) : last;
      for (size_t n = 1; n < data.size(); n += Quick() ? 97 : 5) {
        Files files = sample.files;
        files[name].resize(n);
        Judge(sample, files, floor, n % 2 == 0, name + " cut to " + std::to_string(n));
      }
      for (const std::string& more : {std::string(1, '\0'), std::string(1, 'x'),
                                      std::string(600, '\0'), std::string(600, 'x')}) {
        Files files = sample.files;
        files[name] += more;
        Judge(sample, files, last, true, name + " extended");
        Judge(sample, files, last, false, name + " extended");
      }
    }
  }
}

void damage__files_swapped_and_duplicated(void**) {
  const Sample sample = Make(true);
  const size_t last = sample.states.size() - 1;
  for (const auto& [a, a_data] : sample.files) {
    for (const auto& [b, b_data] : sample.files) {
      if (a == b || !HasContent(a) || !HasContent(b)) continue;
      Files files = sample.files;
      files[a] = b_data;
      Judge(sample, files, last, true, b + " over " + a);
      Judge(sample, files, last, false, b + " over " + a);
      files[b] = a_data;
      Judge(sample, files, last, false, a + " and " + b + " swapped");
    }
    for (const char* as : {"000900.kst", "000900.log", "MANIFEST-000900", "CURRENT.tmp", "stray"}) {
      if (!HasContent(a)) continue;
      Files files = sample.files;
      files[as] = a_data;
      Judge(sample, files, last, true, a + " again as " + as);
      Judge(sample, files, last, false, a + " again as " + as);
    }
  }
}

// Files of another database in the place of this one's.
void damage__files_of_another_database(void**) {
  const Sample sample = Make(true);
  const Sample other = Make(true);
  const size_t last = sample.states.size() - 1;
  for (const auto& [name, data] : other.files) {
    if (!HasContent(name) || sample.files.count(name) == 0) continue;
    Files files = sample.files;
    files[name] = data;
    Judge(sample, files, last, true, name + " of another database");
    Judge(sample, files, last, false, name + " of another database");
  }
}

// Any one file of a database alone in a directory: nothing is created over it.
void damage__a_single_file_is_no_new_database(void**) {
  const Sample sample = Make(true);
  for (const auto& [name, data] : sample.files) {
    if (name == "LOCK") continue;
    auto vfs = Build({{name, data}});
    const auto opened = Db::Open(kDir, Options(), LogSink(), vfs.get());
    ASSERT_CODE(opened, Code::kCorrupt);
    auto left = Snapshot(vfs.get());
    left.erase("LOCK");
    assert_true(left == Files({{name, data}}));
  }
}

// A log larger than memory, damaged near its end: the open fails without a trace.
void damage__a_large_damaged_log_leaves_no_trace(void**) {
  MemoryVfs vfs;
  Files files;
  std::string log;
  {
    auto opened = Db::Open(kDir,
                           Options("wal_preallocate=false; memory_budget=64MiB;"
                                   "write_buffer_size=8MiB"),
                           LogSink(), &vfs);
    ASSERT_OK(opened);
    auto ks = (*opened)->DefaultKeyspace();
    for (uint64_t i = 0; i < 40; ++i) {
      ASSERT_OK((*opened)->Put(ks.get(), kSync, K(i), std::string(20000, 'x'), 0, nullptr));
    }
    files = Snapshot(&vfs);
    ks = RefPtr<Keyspace>();
    ASSERT_OK((*opened)->Close());
  }
  for (auto& [name, data] : files) {
    if (TypeOf(name) == FileType::kLog && data.size() > 500000) data[700000] ^= 1;
  }
  auto damaged = Build(files);
  ASSERT_CODE(Db::Open(kDir, Options(), LogSink(), damaged.get()), Code::kCorrupt);
  assert_true(Snapshot(damaged.get()) == files);
}

// Under an open database: verification reads the files again and sees every damaged byte.
void damage__verify_sees_every_byte(void**) {
  auto vfs = Build(Make(true).files);
  auto opened = Db::Open(kDir, Options("wal_preallocate=false"), LogSink(), vfs.get());
  ASSERT_OK(opened);
  auto ks = (*opened)->DefaultKeyspace();
  for (uint64_t i = 0; i < 5; ++i) {
    ASSERT_OK((*opened)->Put(ks.get(), kSync, K(i), V(i), 0, nullptr));
    if (i == 2) ASSERT_OK((*opened)->Flush());
  }
  ASSERT_OK((*opened)->Verify(JobControl()));
  auto reader = Db::Open(kDir, Options("read_only=true"), LogSink(), vfs.get());
  ASSERT_OK(reader);
  uint64_t bytes = 0, missed = 0;
  std::string first;
  const Files files = Snapshot(vfs.get());
  auto state = ReadManifest(vfs.get(), kDir);
  ASSERT_OK(state);
  for (const auto& [name, data] : files) {
    if (!HasContent(name)) continue;
    // Of the logs the one that is written: the others are made ahead of their time.
    if (TypeOf(name) == FileType::kLog && ParseFileName(name)->number != state->log_number)
      continue;
    auto file = vfs->Open(JoinPath(kDir, name), OpenMode::kReadWrite);
    ASSERT_OK(file);
    for (size_t i = 0; i < data.size(); i += Quick() ? 23 : 1) {
      const char flipped = static_cast<char>(data[i] ^ (1 << i % 8));
      ASSERT_OK((*file)->Write(i, Slice(&flipped, 1)));
      ++bytes;
      for (Db* db : {opened->get(), reader->get()}) {
        if (db->Verify(JobControl()).Is(Code::kCorrupt)) continue;
        if (missed++ == 0) first = name + " byte " + std::to_string(i);
      }
      ASSERT_OK((*file)->Write(i, Slice(&data[i], 1)));
    }
  }
  std::printf("verify: %llu bytes flipped, %llu missed\n", static_cast<unsigned long long>(bytes),
              static_cast<unsigned long long>(missed));
  if (missed != 0) fail_msg("verify missed %s", first.c_str());
  ASSERT_OK((*opened)->Verify(JobControl()));
  ASSERT_OK((*reader)->Verify(JobControl()));
  ks = RefPtr<Keyspace>();
  ASSERT_OK((*reader)->Close());
  ASSERT_OK((*opened)->Close());
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(damage__every_byte_flipped),
      cmocka_unit_test(damage__stretches_zeroed),
      cmocka_unit_test(damage__files_removed_emptied_cut_extended),
      cmocka_unit_test(damage__files_swapped_and_duplicated),
      cmocka_unit_test(damage__files_of_another_database),
      cmocka_unit_test(damage__a_single_file_is_no_new_database),
      cmocka_unit_test(damage__a_large_damaged_log_leaves_no_trace),
      cmocka_unit_test(damage__verify_sees_every_byte),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
