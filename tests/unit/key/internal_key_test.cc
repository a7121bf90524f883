// The order of stored versions and the packing of tags.
#include "key/internal_key.h"

#include "support/unit_test.h"

using namespace kist;

static void internal_key__newest_version_first(void**) {
  const uint64_t put5 = MakeTag(5, EntryKind::kPut);
  const uint64_t put6 = MakeTag(6, EntryKind::kPut);
  assert_true(CompareEntry("a", put6, "a", put5) < 0);
  assert_true(CompareEntry("a", put5, "a", put5) == 0);
  assert_true(CompareEntry("a", 0, "b", kMaxTag) < 0);
  assert_true(CompareEntry("a", 0, "aa", kMaxTag) < 0);
  assert_true(CompareEntry("b", kMaxTag, "aa", 0) > 0);
  assert_true(CompareEntry(Slice("\xff", 1), 0, Slice("\x7f", 1), 0) > 0);
}

static void internal_key__seek_tag_finds_the_newest_visible(void**) {
  for (EntryKind kind : {EntryKind::kPut, EntryKind::kDelete, EntryKind::kPutTtl}) {
    assert_true(CompareEntry("k", SeekTag(9), "k", MakeTag(9, kind)) < 0);
    assert_true(CompareEntry("k", SeekTag(9), "k", MakeTag(10, kind)) > 0);
    assert_int_equal(TagSequence(MakeTag(kMaxSequence, kind)), kMaxSequence);
    assert_true(TagKind(MakeTag(kMaxSequence, kind)) == kind);
  }
}

static void internal_key__tombstone_covers_begin_not_end(void**) {
  const RangeTombstone t{"b", "d", 7};
  assert_false(t.Covers("azzz"));
  assert_true(t.Covers("b"));
  assert_true(t.Covers("czzz"));
  assert_false(t.Covers("d"));
  const RangeTombstone open{"b", "", 7};
  assert_true(open.Covers("zzzz"));
  assert_false(open.Covers("a"));
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(internal_key__newest_version_first),
      cmocka_unit_test(internal_key__seek_tag_finds_the_newest_visible),
      cmocka_unit_test(internal_key__tombstone_covers_begin_not_end),
  };
  return cmocka_run_group_tests_name("internal_key", tests, nullptr, nullptr);
}
