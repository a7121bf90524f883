// A writer whose file fails: what is refused is gone and the segment goes on, or it is broken for
// good; nothing in between.
#include "record/segment.h"
#include "tests/unit/record/crash_disk.h"
#include "tests/unit/record/log_fixture.h"

using namespace kist;
using namespace kist::test;

namespace {

using Strings = std::vector<std::string>;

struct Bench {
  Rng rng{7};
  CrashDisk disk{&rng};
  std::unique_ptr<SegmentWriter> w;
  explicit Bench(uint64_t preallocate = 0) {
    w = MakeSegment(&disk, OptionsFor(1, {}, 0, preallocate));
    ASSERT_OK(w->Sync());
    ASSERT_OK(disk.SyncDir("/db"));
  }
  Strings Found() {
    std::string end;
    Strings found = ReadAll(OpenSegment(&disk, 1).get(), &end);
    assert_string_equal(end.c_str(), "end");
    return found;
  }
};

void fault__no_space_heals(void**) {
  for (const uint64_t preallocate : {0, 8192}) {
    Bench b(preallocate);
    ASSERT_OK(Append(b.w.get(), "one"));
    b.disk.write_fails = 1000;
    for (int i = 0; i < 20; ++i) {
      ASSERT_CODE(Append(b.w.get(), std::string(600, 'x')), Code::kNoSpace);
      ASSERT_CODE(AppendGroup(b.w.get(), Strings(100, "group")), Code::kNoSpace);
      assert_false(b.w->broken());
      assert_int_equal(b.w->last_lsn(), 1);
      assert_true(b.Found() == Strings{"one"});
    }
    b.disk.write_fails = 0;
    ASSERT_OK(Append(b.w.get(), "two"));
    assert_true(b.Found() == (Strings{"one", "two"}));
    b.disk.Crash(CrashDisk::Mode::kPower);  // the cut was durable, "two" was not promised
    std::string end;
    const Strings found = ReadAll(OpenSegment(&b.disk, 1).get(), &end);
    assert_true(found == (Strings{"one", "two"}) || found == Strings{"one"} || found.empty());
  }
}

void fault__buffered_records_outlive_a_failed_write(void**) {
  Bench b;
  ASSERT_OK(AppendGroup(b.w.get(), {"b1", "b2"}, 0, true));
  b.disk.write_fails = 1000;
  ASSERT_CODE(Append(b.w.get(), "refused"), Code::kNoSpace);
  ASSERT_CODE(b.w->Flush(), Code::kNoSpace);
  assert_int_equal(b.w->last_lsn(), 2);
  assert_int_equal(b.w->flushed_lsn(), 0);
  b.disk.write_fails = 0;
  ASSERT_OK(Append(b.w.get(), "three"));
  assert_true(b.Found() == (Strings{"b1", "b2", "three"}));
}

// rocksdb#12448, #12873: after a write that could not be undone nothing is appended, and no number
// lent again.
void fault__a_cut_that_fails_breaks_it(void**) {
  for (const bool truncate : {true, false}) {
    Bench b;
    ASSERT_OK(Append(b.w.get(), "one"));
    b.disk.write_fails = 1000;
    (truncate ? b.disk.truncate_fails : b.disk.sync_fails) = 1000;
    const Status s = Append(b.w.get(), "in doubt");
    assert_true(s.Is(Code::kIo));  // kNoSpace would promise that it is gone
    b.disk.write_fails = b.disk.truncate_fails = b.disk.sync_fails = 0;
    assert_true(b.w->broken());
    ASSERT_CODE(Append(b.w.get(), "two"), Code::kPoisoned);
    ASSERT_CODE(Append(b.w.get(), "two", 0, true), Code::kPoisoned);
    ASSERT_CODE(b.w->Sync(), Code::kPoisoned);
    ASSERT_CODE(b.w->WriteMark(), Code::kPoisoned);
    ASSERT_CODE(b.w->Flush(), Code::kPoisoned);
    ASSERT_CODE(b.w->Seal(), Code::kPoisoned);
    assert_int_equal(b.w->last_lsn(), 1);
  }
}

void fault__a_failed_sync_is_never_repeated(void**) {
  Bench b;
  ASSERT_OK(Append(b.w.get(), "one"));
  b.disk.sync_fails = 1000;
  ASSERT_CODE(b.w->Sync(), Code::kIo);
  b.disk.sync_fails = 0;
  const uint64_t calls = b.disk.calls();
  ASSERT_CODE(b.w->Sync(), Code::kPoisoned);
  ASSERT_CODE(b.w->Seal(), Code::kPoisoned);
  ASSERT_CODE(Append(b.w.get(), "two"), Code::kPoisoned);
  assert_int_equal(b.disk.calls(), calls);
  assert_int_equal(b.w->synced_lsn(), 0);
}

void fault__a_head_sync_promises_nothing(void**) {
  Bench b;
  ASSERT_OK(Append(b.w.get(), "one"));
  ASSERT_OK(b.w->SyncHead());
  assert_int_equal(b.w->synced_lsn(), 0);
  ASSERT_OK(b.w->WriteMark());
  assert_int_equal(OpenSegment(&b.disk, 1)->mark_lsn(), 0);
  ASSERT_OK(b.w->Sync());
  assert_int_equal(b.w->synced_lsn(), 1);
  b.disk.sync_fails = 1000;
  ASSERT_CODE(b.w->SyncHead(), Code::kIo);
  assert_true(b.w->broken());
}

void fault__without_reserved_space_it_is_plain(void**) {
  Rng rng(7);
  CrashDisk disk(&rng);
  disk.preallocate_fails = 1000;
  auto w = MakeSegment(&disk, OptionsFor(1, {}, 0, 1 << 20));
  assert_int_equal(w->reserved_bytes(), 0);
  Strings all;
  for (int i = 0; i < 50; ++i) {
    all.push_back(std::string(60000, static_cast<char>('a' + i % 26)));
    ASSERT_OK(Append(w.get(), all.back()));
  }
  std::string end;
  assert_true(ReadAll(OpenSegment(&disk, 1).get(), &end) == all);
}

void fault__a_creation_that_fails_leaves_nothing(void**) {
  for (uint64_t call = 0; call < 2; ++call) {
    Rng rng(7 + call);
    CrashDisk disk(&rng);
    disk.write_fails = call == 0 ? 1000 : 500;
    auto made = SegmentWriter::Create(&disk, SegmentPath(1), OptionsFor(1));
    if (made.ok()) continue;
    ASSERT_CODE(made, Code::kNoSpace);
    assert_true(disk.Names().empty());
  }
}

void fault__a_mark_that_fails_costs_nothing(void**) {
  Bench b;
  ASSERT_OK(Append(b.w.get(), "one"));
  ASSERT_OK(b.w->Sync());
  ASSERT_OK(b.w->WriteMark());
  ASSERT_OK(Append(b.w.get(), "two"));
  ASSERT_OK(b.w->Sync());
  b.disk.write_fails = 1000;
  assert_false(b.w->WriteMark().ok());
  b.disk.write_fails = 0;
  assert_false(b.w->broken());
  auto r = OpenSegment(&b.disk, 1);
  assert_true(r->mark_lsn() == 1 || r->mark_lsn() == 2);
  ASSERT_OK(b.w->WriteMark());
  assert_int_equal(OpenSegment(&b.disk, 1)->mark_lsn(), 2);
  assert_int_equal(OpenSegment(&b.disk, 1)->head_damage(), 0);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(fault__no_space_heals),
      cmocka_unit_test(fault__buffered_records_outlive_a_failed_write),
      cmocka_unit_test(fault__a_cut_that_fails_breaks_it),
      cmocka_unit_test(fault__a_failed_sync_is_never_repeated),
      cmocka_unit_test(fault__a_head_sync_promises_nothing),
      cmocka_unit_test(fault__without_reserved_space_it_is_plain),
      cmocka_unit_test(fault__a_creation_that_fails_leaves_nothing),
      cmocka_unit_test(fault__a_mark_that_fails_costs_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
