// Allocations of the table room: none in the steady state; where one fails, an error and no leak.
#include <new>

#include "support/counting_alloc.h"
#include "table_testing.h"

using namespace kist;
using namespace kist::test;

namespace {

std::vector<Version> Many(int n) {
  std::vector<Version> versions;
  for (int i = 0; i < n; ++i) {
    char key[16];
    std::snprintf(key, sizeof key, "%08d", i);
    versions.push_back({key, MakeTag(static_cast<Sequence>(i % 7), EntryKind::kPut),
                        std::string(100, static_cast<char>('a' + i % 26))});
  }
  return versions;
}

void table_alloc__reads_of_cached_blocks_allocate_nothing(void**) {
  auto vfs = NewMemoryVfs();
  Epoch epoch;
  BlockCache cache(64 << 20, &epoch);
  const std::vector<Version> versions = Many(20000);
  Build(vfs.get(), "/t", OptionsOf(4096, Compression::kSnappy), versions);
  RefPtr<Table> table = OpenTable(vfs.get(), "/t", &cache);
  auto it = table->NewIterator(ReadContext());
  for (it->SeekToFirst(); it->valid(); it->Next()) {
  }
  AllocationScope scope;
  for (const Version& v : versions) {
    Epoch::Guard guard(epoch);
    TableFound found;
    const Slice absent(v.key.data(), v.key.size() - 1);
    assert_true(table->Get(v.key, HashKey(v.key), kMaxSequence, ReadContext(), &found).ok() &&
                found.found);
    assert_true(table->Get(absent, HashKey(absent), kMaxSequence, ReadContext(), &found).ok() &&
                !found.found);
  }
  for (it->SeekToFirst(); it->valid(); it->Next()) {
  }
  for (size_t i = 0; i < versions.size(); i += 100) it->Seek(versions[i].key, kMaxTag);
  assert_int_equal(scope.count(), 0);
}

void table_alloc__missed_blocks_come_from_the_pool(void**) {
  auto vfs = NewMemoryVfs();
  Epoch epoch;
  BlockCache cache(64 << 20, &epoch);
  const std::vector<Version> versions = Many(60000);
  Build(vfs.get(), "/t", OptionsOf(4096, Compression::kNone), versions);
  RefPtr<Table> table = OpenTable(vfs.get(), "/t", &cache);
  AllocationScope scope;
  for (const Version& v : versions) {
    Epoch::Guard guard(epoch);
    TableFound found;
    assert_true(table->Get(v.key, HashKey(v.key), kMaxSequence, ReadContext(), &found).ok() &&
                found.found);
  }
  // 1,700 blocks: chunks of 504, and the rings' arrays.
  assert_true(cache.misses() > 1500);
  assert_true(scope.count() < 120);
}

void table_alloc__adding_entries_allocates_nothing(void**) {
  auto vfs = NewMemoryVfs();
  const std::vector<Version> versions = Many(60000);
  auto file = vfs->Open("/t", OpenMode::kCreateOrTruncate);
  ASSERT_OK(file);
  TableBuilder builder(OptionsOf(4096, Compression::kNone), file->get(), "/t");
  AllocationScope scope;
  for (const Version& v : versions) assert_true(builder.Add(v.key, v.tag, v.value).ok());
  // 7 MB: doublings of the buffers, and the file system's own chunks of 16 KiB.
  std::printf("%llu allocations\n", static_cast<unsigned long long>(scope.count()));
  assert_true(scope.count() < 100 + 7000000 / 16384 * 2);
}

// Everything a table does, once. True: all went well; else the error was one of memory.
bool Work(Vfs* vfs, const std::vector<Version>& versions) {
  const auto memory = [](const Status& s) {
    if (!s.ok()) assert_true(s.Is(Code::kNoMem));
    return s.ok();
  };
  try {
    Epoch epoch;
    BlockCache cache(64 << 20, &epoch);
    auto file = vfs->Open("/t", OpenMode::kCreateOrTruncate);
    if (!memory(file.status())) return false;
    TableBuilder builder(OptionsOf(1024, Compression::kAdaptive), file->get(), "/t");
    if (!memory(builder.AddRangeTombstone({"a", "b", 4}))) return false;
    for (const Version& v : versions) {
      if (!memory(builder.Add(v.key, v.tag, v.value))) return false;
    }
    TableProperties properties;
    if (!memory(builder.Finish(&properties))) return false;
    Table::OpenOptions options;
    options.cache = &cache;
    auto table = Table::Open(file.Take(), "/t", options);
    if (!memory(table.status())) return false;
    for (size_t i = 0; i < versions.size(); i += 20) {
      Epoch::Guard guard(epoch);
      TableFound found;
      const Version& v = versions[i];
      if (!memory((*table)->Get(v.key, HashKey(v.key), kMaxSequence, ReadContext(), &found))) {
        return false;
      }
      assert_true(found.found && found.value == v.value);
    }
    size_t n = 0;
    auto it = (*table)->NewIterator(ReadContext());
    for (it->SeekToFirst(); it->valid(); it->Next()) ++n;
    if (!memory(it->status())) return false;
    assert_int_equal(n, versions.size());
    return memory((*table)->Verify([](uint64_t) { return Status(); }));
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void table_alloc__failing_allocations_are_errors(void**) {
  const std::vector<Version> versions = Many(1500);
  // Twice, so that the C library's own first allocations are made.
  for (int i = 0; i < 2; ++i) {
    auto vfs = NewMemoryVfs();
    assert_true(Work(vfs.get(), versions));
  }
  for (uint64_t n = 1;; ++n) {
    for (bool for_ever : {false, true}) {
      const int64_t before = LiveAllocations();
      bool failed;
      bool done;
      {
        auto vfs = NewMemoryVfs();
        FailAllocation(n, for_ever);
        done = Work(vfs.get(), versions);
        failed = AllocationFailed();
        FailAllocation(0);
      }
      assert_int_equal(LiveAllocations(), before);
      if (!failed) {
        assert_true(done);
        std::printf("%llu allocations failed one by one\n", static_cast<unsigned long long>(n - 1));
        assert_true(n > 100);
        return;
      }
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(table_alloc__reads_of_cached_blocks_allocate_nothing),
      cmocka_unit_test(table_alloc__missed_blocks_come_from_the_pool),
      cmocka_unit_test(table_alloc__adding_entries_allocates_nothing),
      cmocka_unit_test(table_alloc__failing_allocations_are_errors),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
