// A writer used wrongly, after it broke, over large buffers, and over space that it reserved.
#include "record/codec.h"
#include "support/fault_vfs.h"
#include "tests/unit/record/log_fixture.h"

using namespace kist;
using namespace kist::test;

namespace {

using Strings = std::vector<std::string>;

std::unique_ptr<Vfs> NewDisk() {
  std::unique_ptr<Vfs> vfs = NewMemoryVfs();
  ASSERT_OK(vfs->MakeDir("/db"));
  return vfs;
}

Strings Found(Vfs* vfs) {
  std::string end;
  Strings found = ReadAll(OpenSegment(vfs, 1).get(), &end);
  assert_string_equal(end.c_str(), "end");
  return found;
}

#ifdef NDEBUG  // debug builds abort
void writer__refuses_what_breaks_its_rules(void**) {
  auto vfs = NewDisk();
  SegmentWriter::Options o = OptionsFor(1);
  o.info.version = 1;  // is read, never written
  ASSERT_CODE(SegmentWriter::Create(vfs.get(), SegmentPath(1), o), Code::kInternal);
  SegmentLink link;
  link.previous_lsn = 5;
  link.start_lsn = 4;
  ASSERT_CODE(SegmentWriter::Create(vfs.get(), SegmentPath(1), OptionsFor(1, link)),
              Code::kInternal);
  ASSERT_CODE(vfs->Stat(SegmentPath(1)), Code::kMissing);
  auto made = SegmentWriter::CreateAhead(vfs.get(), SegmentPath(1), OptionsFor(1).info, 0);
  ASSERT_OK(made);
  auto w = made.Take();
  ASSERT_CODE(w->Seal(), Code::kInternal);  // before its chain record
  ASSERT_OK(w->Start(SegmentLink(), 0));
  ASSERT_CODE(w->Start(SegmentLink(), 0), Code::kInternal);
  ASSERT_OK(Append(w.get(), "one"));
  TestRecord gap(3, "three");
  ASSERT_CODE(w->Append(gap.get(), 1, 0, false), Code::kInternal);
  TestRecord empty(2, "");
  ASSERT_CODE(w->Append(empty.get(), 1, 0, false), Code::kInternal);
  TestRecord large(2, "two");
  large.get()->data_bytes = static_cast<uint32_t>(kRecordDataMax + 1);
  ASSERT_CODE(w->Append(large.get(), 1, 0, false), Code::kInternal);
  ASSERT_CODE(w->Seal(SealKind::kNone), Code::kInternal);
  assert_true(Found(vfs.get()) == Strings{"one"});
  ASSERT_OK(w->Seal());
  ASSERT_OK(w->Seal());  // again: it is
  ASSERT_CODE(Append(w.get(), "two"), Code::kInternal);
  assert_true(Found(vfs.get()) == Strings{"one"});
}
#endif

// After a failed sync every call is refused, and none reaches the file.
void writer__once_broken_does_nothing(void**) {
  auto base = NewDisk();
  FaultVfs vfs(base.get());
  auto made = SegmentWriter::CreateAhead(&vfs, SegmentPath(1), OptionsFor(1).info, 0);
  ASSERT_OK(made);
  auto w = made.Take();
  vfs.Fail({kFaultSync, 1, EIO});
  ASSERT_CODE(w->SyncHead(), Code::kIo);
  vfs.Heal();
  vfs.ResetCounts();
  ASSERT_CODE(w->Start(SegmentLink(), 0), Code::kPoisoned);
  ASSERT_CODE(w->Sync(), Code::kPoisoned);
  ASSERT_CODE(w->SyncHead(), Code::kPoisoned);
  ASSERT_CODE(w->Flush(), Code::kPoisoned);
  ASSERT_CODE(w->WriteMark(), Code::kPoisoned);
  assert_int_equal(vfs.Count(kFaultChanging), 0);
}

void writer__large_buffers_are_given_back(void**) {
  auto vfs = NewDisk();
  const auto budget = RefPtr<MemoryBudget>::Adopt(new MemoryBudget);
  auto w = MakeSegment(vfs.get(), OptionsFor(1));
  w->CountBuffer(budget.get());
  const std::string large(5 << 20, 'x');
  ASSERT_OK(Append(w.get(), "small", 0, true));
  ASSERT_OK(Append(w.get(), large, 0, true));
  ASSERT_OK(Append(w.get(), large, 0, true));
  assert_true(budget->used(MemoryBudget::kBuffers) > 2 * large.size());
  ASSERT_OK(w->Flush());
  assert_int_equal(budget->used(MemoryBudget::kBuffers), 0);
  ASSERT_OK(Append(w.get(), "again", 0, true));
  ASSERT_OK(w->Flush());
  assert_true(budget->used(MemoryBudget::kBuffers) > 0);  // one of this size is kept
  assert_true(Found(vfs.get()) == (Strings{"small", large, large, "again"}));
}

// Groups and buffers that leave the reserved space take more of it.
void writer__groups_reserve_ahead(void**) {
  auto vfs = NewDisk();
  auto w = MakeSegment(vfs.get(), OptionsFor(1, {}, 0, 4096));
  const uint64_t first = w->reserved_bytes();
  assert_true(first > 0);
  const Strings group(100, std::string(9000, 'g'));
  ASSERT_OK(AppendGroup(w.get(), group));
  assert_true(w->reserved_bytes() > first);
  assert_true(w->reserved_bytes() >= w->size());
  assert_int_equal(OpenSegment(vfs.get(), 1)->size(), w->reserved_bytes());
  assert_true(Found(vfs.get()) == group);
}

// A nonce that nobody gave is drawn until it is one.
class ZerosFirst : public WrapVfs {
 public:
  using WrapVfs::WrapVfs;
  void Random(void* buf, size_t n) override {
    if (zeros-- > 0) {
      std::memset(buf, 0, n);
    } else {
      base_->Random(buf, n);
    }
  }
  int zeros = 2;
};

void writer__draws_a_nonce(void**) {
  auto base = NewDisk();
  ZerosFirst vfs(base.get());
  SegmentWriter::Options o = OptionsFor(1);
  o.info.nonce = 0;
  auto w = SegmentWriter::Create(&vfs, SegmentPath(1), o);
  ASSERT_OK(w);
  assert_true(vfs.zeros < 0);
  assert_true((*w)->info().nonce != 0);
  ASSERT_OK(Append(w->get(), "one"));
  assert_true(Found(base.get()) == Strings{"one"});
}

void writer__compresses_what_gets_smaller(void**) {
  auto vfs = NewDisk();
  Rng rng(Seed(__func__));
  const Strings datas = {std::string(100, 'a'),  rng.Bytes(5000),           std::string(50, 'b'),
                         std::string(9000, 'c'), std::string(3000000, 'd'), rng.Bytes(3000000),
                         std::string(20000, 'e')};
  auto w = MakeSegment(vfs.get(), OptionsFor(1));
  RecordCompressor compressor;
  uint64_t stored = 0;
  for (const std::string& data : datas) {
    TestRecord r(w->last_lsn() + 1, data);
    compressor.Prepare(r.get(), true);
    const bool smaller = data.size() >= 64 && data[0] == data[1] && data[1] == data[2];
    assert_true(((r.get()->flags & kRecordSnappy) != 0) == smaller);
    stored += r.get()->data_bytes;
    ASSERT_OK(w->Append(r.get(), 1, 0, false));
  }
  assert_true(stored < 3300000);
  assert_true(Found(vfs.get()) == datas);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
#ifdef NDEBUG
      cmocka_unit_test(writer__refuses_what_breaks_its_rules),
#endif
      cmocka_unit_test(writer__once_broken_does_nothing),
      cmocka_unit_test(writer__large_buffers_are_given_back),
      cmocka_unit_test(writer__groups_reserve_ahead),
      cmocka_unit_test(writer__draws_a_nonce),
      cmocka_unit_test(writer__compresses_what_gets_smaller),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
