// Tables on a disk that fails: the builder stops at the first error and keeps it; readers say what
// happened and go on where they can.
#include "support/fault_vfs.h"
#include "table_testing.h"

using namespace kist;
using namespace kist::test;

namespace {

Status BuildAll(Vfs* vfs, const std::vector<Version>& versions) {
  KIST_TRY_ASSIGN(auto file, vfs->Open("/t", OpenMode::kCreateOrTruncate));
  TableBuilder builder(OptionsOf(1024, Compression::kNone), file.get(), "/t");
  Status first;
  for (const Version& v : versions) {
    const Status s = builder.Add(v.key, v.tag, v.value);
    if (first.ok()) first = s;
    // An error is final.
    assert_true(first.ok() || s.code() == first.code());
  }
  TableProperties properties;
  const Status finished = builder.Finish(&properties);
  assert_true(first.ok() || finished.code() == first.code());
  const Status again = finished.ok() ? Status() : builder.Finish(&properties);
  assert_true(again.code() == finished.code());
  return finished;
}

std::vector<Version> Large(Rng* rng) {
  Shape shape;
  shape.keys = 6000;
  shape.value_bytes_max = 1000;
  std::vector<Version> versions = RandomVersions(rng, shape);
  versions.push_back({"zzzz", MakeTag(1, EntryKind::kPut), rng->Bytes(1 << 20)});
  SortVersions(&versions);
  return versions;
}

void table_fault__builder_keeps_its_first_error(void**) {
  Rng rng(Seed("table_fault__builder_keeps_its_first_error"));
  const std::vector<Version> versions = Large(&rng);
  auto base = NewMemoryVfs();
  FaultVfs counting(base.get());
  ASSERT_OK(BuildAll(&counting, versions));
  const uint64_t writes = counting.Count(kFaultWrite);
  assert_true(writes >= 5);
  for (uint64_t n = 1; n <= writes; ++n) {
    for (int error : {EIO, ENOSPC}) {
      FaultVfs vfs(base.get());
      Fault fault(kFaultWrite, n, error);
      fault.partial_bytes = rng.Below(100);
      vfs.Fail(fault);
      const Status status = BuildAll(&vfs, versions);
      assert_true(status.Is(error == EIO ? Code::kIo : Code::kNoSpace));
      assert_int_equal(vfs.Count(kFaultSync), 0);
    }
  }
  FaultVfs vfs(base.get());
  vfs.Fail({kFaultSync, 1, EIO});
  ASSERT_CODE(BuildAll(&vfs, versions), Code::kIo);
  assert_int_equal(vfs.Count(kFaultSync), 1);
}

void table_fault__read_errors_are_told_and_pass(void**) {
  Rng rng(Seed("table_fault__read_errors_are_told_and_pass"));
  Shape shape;
  shape.keys = 500;
  const std::vector<Version> versions = RandomVersions(&rng, shape);
  auto base = NewMemoryVfs();
  Build(base.get(), "/t", OptionsOf(512), versions);
  for (uint64_t n = 1; n <= 60; ++n) {
    Epoch epoch;
    BlockCache cache(1 << 20, &epoch);
    FaultVfs vfs(base.get());
    vfs.Fail({kFaultRead, n, EIO});
    auto table = TryOpen(&vfs, "/t", &cache);
    if (!table.ok()) {
      ASSERT_CODE(table, Code::kIo);
      continue;
    }
    ReadContext context;
    context.readahead_bytes = rng.OneIn(2) ? 0 : 2000;
    auto it = (*table)->NewIterator(context);
    size_t at = 0;
    for (it->SeekToFirst(); it->valid(); it->Next(), ++at) {
      ASSERT_SLICE(it->value(), versions[at].value);
    }
    if (at < versions.size()) {
      // Not the end: an error. A later seek reads on from there.
      ASSERT_CODE(it->status(), Code::kIo);
      it->Seek(versions[at].key, versions[at].tag);
      for (; it->valid(); it->Next(), ++at) ASSERT_SLICE(it->value(), versions[at].value);
    }
    ASSERT_OK(it->status());
    assert_int_equal(at, versions.size());
  }
}

void table_fault__get_errors_are_not_absence(void**) {
  Rng rng(Seed("table_fault__get_errors_are_not_absence"));
  const std::vector<Version> versions = RandomVersions(&rng, Shape());
  auto base = NewMemoryVfs();
  Build(base.get(), "/t", OptionsOf(512), versions);
  Epoch epoch;
  FaultVfs vfs(base.get());
  RefPtr<Table> table = OpenTable(&vfs, "/t");
  for (const Version& v : versions) {
    Epoch::Guard guard(epoch);
    vfs.Fail({kFaultRead, 1, EIO});
    TableFound found;
    ASSERT_CODE(table->Get(v.key, HashKey(v.key), kMaxSequence, ReadContext(), &found), Code::kIo);
    assert_false(found.found);
    ASSERT_OK(table->Get(v.key, HashKey(v.key), kMaxSequence, ReadContext(), &found));
    assert_true(found.found);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(table_fault__builder_keeps_its_first_error),
      cmocka_unit_test(table_fault__read_errors_are_told_and_pass),
      cmocka_unit_test(table_fault__get_errors_are_not_absence),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
