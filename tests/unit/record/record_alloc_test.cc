// Each allocation of the record room fails in turn: an error and no more, or a record that is not
// compressed; the next try does what this one could not.
#include <new>

#include "support/counting_alloc.h"
#include "tests/unit/record/log_fixture.h"

using namespace kist;
using namespace kist::test;

namespace {

using Strings = std::vector<std::string>;

template <typename Work>
uint64_t EachAllocationFails(Work work) {
  uint64_t n = 0;
  for (bool failed = true; failed;) {
    FailAllocation(++n);
    Status s;
    try {
      s = work();
    } catch (const std::bad_alloc&) {
      s = Status::Bare(Code::kNoMem);
    }
    failed = AllocationFailed();
    FailAllocation(0);
    if (!s.ok()) ASSERT_CODE(s, Code::kNoMem);
    if (!failed) ASSERT_OK(s);
  }
  return n - 1;
}

std::unique_ptr<Vfs> NewDisk() {
  std::unique_ptr<Vfs> vfs = NewMemoryVfs();
  ASSERT_OK(vfs->MakeDir("/db"));
  return vfs;
}

void record_alloc__reading(void**) {
  auto vfs = NewDisk();
  auto w = MakeSegment(vfs.get(), OptionsFor(1));
  const Strings datas = {"one", std::string(5000, 'c'), std::string(400000, 'd'), "four"};
  for (const std::string& data : datas) {
    TestRecord r(w->last_lsn() + 1, data, 0, true);
    ASSERT_OK(w->Append(r.get(), 1, 0, false));
  }
  const uint64_t failed = EachAllocationFails([&]() -> Status {
    KIST_TRY_ASSIGN(auto r, SegmentReader::Probe(vfs.get(), SegmentPath(1), SegmentType::kLog));
    SegmentReader::Record record;
    for (size_t i = 0; i <= datas.size(); ++i) {
      KIST_TRY_ASSIGN(const auto outcome, r->Next(&record));
      assert_true((outcome == SegmentReader::Outcome::kRecord) == (i < datas.size()));
      if (i < datas.size()) assert_true(record.data == Slice(datas[i]));
    }
    return r->ScanResidue().status();
  });
  assert_true(failed > 3);
}

void record_alloc__buffering(void**) {
  auto vfs = NewDisk();
  auto w = MakeSegment(vfs.get(), OptionsFor(1));
  TestRecord one(1, "one"), two(2, std::string(100000, '2'));
  assert_true(EachAllocationFails([&] { return w->Append(one.get(), 1, 0, true); }) > 0);
  assert_true(EachAllocationFails([&] { return w->Append(two.get(), 1, 0, true); }) > 0);
  ASSERT_OK(w->Flush());
  std::string end;
  assert_true(ReadAll(OpenSegment(vfs.get(), 1).get(), &end) ==
              (Strings{"one", std::string(100000, '2')}));
}

void record_alloc__compressing(void**) {
  auto vfs = NewDisk();
  auto w = MakeSegment(vfs.get(), OptionsFor(1));
  const std::string data(5000, 'c');
  TestRecord plain(1, data), small(2, data);
  RecordCompressor compressor;
  FailAllocation(1);
  compressor.Prepare(plain.get(), true);
  FailAllocation(0);
  assert_int_equal(plain.get()->flags & kRecordSnappy, 0);
  ASSERT_OK(w->Append(plain.get(), 1, 0, false));
  compressor.Prepare(small.get(), true);
  assert_true((small.get()->flags & kRecordSnappy) != 0);
  ASSERT_OK(w->Append(small.get(), 1, 0, false));
  std::string end;
  assert_true(ReadAll(OpenSegment(vfs.get(), 1).get(), &end) == (Strings{data, data}));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(record_alloc__reading),
      cmocka_unit_test(record_alloc__buffering),
      cmocka_unit_test(record_alloc__compressing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
