// Damage under a whole database: every byte of its small files flipped and zeroed, files removed,
// emptied, cut, extended, duplicated and swapped (promises G8, G9, G10). Whatever is read must be
// what was written or KIST_E_CORRUPT; a damaged database is never a new one; an open that fails has
// changed nothing; verification finds all damage of tables, manifest and CURRENT.
#include "support/damage.h"

#include <functional>

#include "version/manifest.h"

namespace kist::test {
namespace {

constexpr Durability kSync = Durability::kSync;

bool Quick() { return std::getenv("KIST_TEST_QUICK") != nullptr; }

std::string K(uint64_t i) { return "key" + std::to_string(100 + i); }
std::string V(uint64_t i) { return "value" + std::to_string(i) + std::string(20 + i % 30, 'v'); }

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
      JudgeDamage(sample, files, floor, i / stride % 3 != 0,
                  name + " byte " + std::to_string(i) + how);
    }
  }
}

void damage__every_byte_flipped(void**) {
  for (const bool closed : {true, false}) {
    const Sample sample = MakeSample(closed);
    uint64_t seed = 1;
    const auto flip = [&](std::string* data, size_t i) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      (*data)[i] = static_cast<char>((*data)[i] ^ (1 << (seed >> 61)));
    };
    EachByte(sample, flip, " flipped", Quick() ? 41 : 1);
  }
}

void damage__stretches_zeroed(void**) {
  for (const bool closed : {true, false}) {
    const Sample sample = MakeSample(closed);
    for (const size_t n : {size_t{1}, size_t{8}, size_t{512}}) {
      const auto zero = [n](std::string* data, size_t i) {
        for (size_t j = i; j < i + n && j < data->size(); ++j) (*data)[j] = '\0';
      };
      // Zeros up to the end of a log that was not closed are its end, wherever they begin.
      const size_t stride = Quick() ? 67 : n == 512 ? 128 : n == 8 ? 7 : 1;
      EachByte(sample, zero, " zeroed", stride, closed || n == 1 ? 0 : n);
    }
  }
}

void damage__files_removed_emptied_cut_extended(void**) {
  for (const bool closed : {true, false}) {
    const Sample sample = MakeSample(closed);
    const size_t last = sample.states.size() - 1;
    for (const auto& [name, data] : sample.files) {
      const FileType type = TypeOf(name);
      if (!HasContent(name)) continue;
      for (const bool read_only : {true, false}) {
        Files files = sample.files;
        files.erase(name);
        if (type == FileType::kLog && ParseFileName(name)->number != sample.log_number) {
          JudgeDamage(sample, files, last, read_only, name + " removed");  // made ahead of its time
          continue;
        }
        auto vfs = VfsOf(files);
        const auto removed = Db::Open(kDamageDir, DamageOptions(read_only ? "read_only=true" : ""),
                                      LogSink(), vfs.get());
        ASSERT_CODE(removed, Code::kCorrupt);
        assert_true(FilesOf(vfs.get()) == files);
        files[name] = "";
        vfs = VfsOf(files);
        const auto emptied = Db::Open(kDamageDir, DamageOptions(read_only ? "read_only=true" : ""),
                                      LogSink(), vfs.get());
        if (emptied.ok()) fail_msg("%s emptied: opens", name.c_str());
        ASSERT_CODE(emptied, Code::kCorrupt);
        assert_true(FilesOf(vfs.get()) == files);
      }
      // A log that was not closed may end anywhere behind its last watermark.
      const size_t floor = type == FileType::kLog ? (closed ? last : 0) : last;
      for (size_t n = 1; n < data.size(); n += Quick() ? 97 : 5) {
        Files files = sample.files;
        files[name].resize(n);
        JudgeDamage(sample, files, floor, n % 2 == 0, name + " cut to " + std::to_string(n));
      }
      for (const std::string& more : {std::string(1, '\0'), std::string(1, 'x'),
                                      std::string(600, '\0'), std::string(600, 'x')}) {
        Files files = sample.files;
        files[name] += more;
        JudgeDamage(sample, files, last, true, name + " extended");
        JudgeDamage(sample, files, last, false, name + " extended");
      }
    }
  }
}

void damage__files_swapped_and_duplicated(void**) {
  const Sample sample = MakeSample(true);
  const size_t last = sample.states.size() - 1;
  for (const auto& [a, a_data] : sample.files) {
    for (const auto& [b, b_data] : sample.files) {
      if (a == b || !HasContent(a) || !HasContent(b)) continue;
      Files files = sample.files;
      files[a] = b_data;
      JudgeDamage(sample, files, last, true, b + " over " + a);
      JudgeDamage(sample, files, last, false, b + " over " + a);
      files[b] = a_data;
      JudgeDamage(sample, files, last, false, a + " and " + b + " swapped");
    }
    for (const char* as : {"000900.kst", "000900.log", "MANIFEST-000900", "CURRENT.tmp", "stray"}) {
      if (!HasContent(a)) continue;
      Files files = sample.files;
      files[as] = a_data;
      JudgeDamage(sample, files, last, true, a + " again as " + as);
      JudgeDamage(sample, files, last, false, a + " again as " + as);
    }
  }
}

// Files of another database in the place of this one's.
void damage__files_of_another_database(void**) {
  const Sample sample = MakeSample(true);
  const Sample other = MakeSample(true);
  const size_t last = sample.states.size() - 1;
  for (const auto& [name, data] : other.files) {
    if (!HasContent(name) || sample.files.count(name) == 0) continue;
    Files files = sample.files;
    files[name] = data;
    JudgeDamage(sample, files, last, true, name + " of another database");
    JudgeDamage(sample, files, last, false, name + " of another database");
  }
}

// Any one file of a database alone in a directory: nothing is created over it.
void damage__a_single_file_is_no_new_database(void**) {
  const Sample sample = MakeSample(true);
  for (const auto& [name, data] : sample.files) {
    if (name == "LOCK") continue;
    auto vfs = VfsOf({{name, data}});
    const auto opened = Db::Open(kDamageDir, DamageOptions(), LogSink(), vfs.get());
    ASSERT_CODE(opened, Code::kCorrupt);
    auto left = FilesOf(vfs.get());
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
    auto opened = Db::Open(kDamageDir,
                           DamageOptions("wal_preallocate=false; memory_budget=64MiB;"
                                         "write_buffer_size=8MiB"),
                           LogSink(), &vfs);
    ASSERT_OK(opened);
    auto ks = (*opened)->DefaultKeyspace();
    for (uint64_t i = 0; i < 40; ++i) {
      ASSERT_OK((*opened)->Put(ks.get(), kSync, K(i), std::string(20000, 'x'), 0, nullptr));
    }
    files = FilesOf(&vfs);
    ks = RefPtr<Keyspace>();
    ASSERT_OK((*opened)->Close());
  }
  for (auto& [name, data] : files) {
    if (TypeOf(name) == FileType::kLog && data.size() > 500000) data[700000] ^= 1;
  }
  auto damaged = VfsOf(files);
  ASSERT_CODE(Db::Open(kDamageDir, DamageOptions(), LogSink(), damaged.get()), Code::kCorrupt);
  assert_true(FilesOf(damaged.get()) == files);
}

// Under an open database: verification reads the files again and sees every damaged byte.
void damage__verify_sees_every_byte(void**) {
  auto vfs = VfsOf(MakeSample(true).files);
  auto opened = Db::Open(kDamageDir, DamageOptions("wal_preallocate=false"), LogSink(), vfs.get());
  ASSERT_OK(opened);
  auto ks = (*opened)->DefaultKeyspace();
  for (uint64_t i = 0; i < 5; ++i) {
    ASSERT_OK((*opened)->Put(ks.get(), kSync, K(i), V(i), 0, nullptr));
    if (i == 2) ASSERT_OK((*opened)->Flush());
  }
  ASSERT_OK((*opened)->Verify(JobControl()));
  auto reader = Db::Open(kDamageDir, DamageOptions("read_only=true"), LogSink(), vfs.get());
  ASSERT_OK(reader);
  uint64_t bytes = 0, missed = 0;
  std::string first;
  const Files files = FilesOf(vfs.get());
  auto state = ReadManifest(vfs.get(), kDamageDir);
  ASSERT_OK(state);
  for (const auto& [name, data] : files) {
    if (!HasContent(name)) continue;
    // Of the logs the one that is written: the others are made ahead of their time.
    if (TypeOf(name) == FileType::kLog && ParseFileName(name)->number != state->log_number)
      continue;
    auto file = vfs->Open(JoinPath(kDamageDir, name), OpenMode::kReadWrite);
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
