// Fragments of range tombstones against asking every tombstone.
#include "iter/range_tombstones.h"

#include "support/unit_test.h"

using namespace kist;
using kist::test::Rng;

static Sequence Reference(const std::vector<RangeTombstone>& tombstones, Slice key, Sequence seq) {
  Sequence best = 0;
  for (const RangeTombstone& t : tombstones) {
    if (t.Covers(key) && t.seq <= seq && t.seq > best) best = t.seq;
  }
  return best;
}

static void CheckShape(const RangeTombstoneSet& set) {
  const auto& f = set.fragments();
  for (size_t i = 0; i < f.size(); ++i) {
    assert_true(f[i].end.empty() ? i + 1 == f.size() : f[i].begin < f[i].end);
    if (i > 0) assert_true(f[i - 1].end <= f[i].begin);
    assert_true(f[i].seq_count > 0);
    for (uint32_t s = 1; s < f[i].seq_count; ++s)
      assert_true(set.seqs(f[i])[s - 1] > set.seqs(f[i])[s]);
  }
}

static void range_tombstones__empty_set_covers_nothing(void**) {
  const auto set = RangeTombstoneSet::Build({});
  assert_int_equal(set->MaxCovering("a", kMaxSequence), 0);
  assert_int_equal(set->fragments().size(), 0);
  const auto nothing = RangeTombstoneSet::Build({{"b", "b", 5}, {"c", "a", 6}});
  assert_int_equal(nothing->fragments().size(), 0);
}

static void range_tombstones__bounds_and_sequences(void**) {
  const auto set = RangeTombstoneSet::Build({{"b", "f", 10}, {"d", "h", 20}, {"x", "", 5}});
  CheckShape(*set);
  assert_int_equal(set->MaxCovering("a", kMaxSequence), 0);
  assert_int_equal(set->MaxCovering("b", kMaxSequence), 10);
  assert_int_equal(set->MaxCovering("d", kMaxSequence), 20);
  assert_int_equal(set->MaxCovering("d", 19), 10);
  assert_int_equal(set->MaxCovering("d", 9), 0);
  assert_int_equal(set->MaxCovering("f", 19), 0);
  assert_int_equal(set->MaxCovering("f", 20), 20);
  assert_int_equal(set->MaxCovering("h", kMaxSequence), 0);
  assert_int_equal(set->MaxCovering("zzzz", kMaxSequence), 5);
  Sequence covering = 99;
  const auto* f = set->Find("e", kMaxSequence, &covering);
  assert_int_equal(covering, 20);
  ASSERT_SLICE(f->begin, "d");
  ASSERT_SLICE(f->end, "f");
  assert_null(set->Find("w", kMaxSequence, &covering));
  assert_int_equal(covering, 0);
}

static void range_tombstones__equal_neighbours_are_one_fragment(void**) {
  const auto set = RangeTombstoneSet::Build({{"a", "c", 7}, {"c", "e", 7}, {"a", "d", 7}});
  assert_int_equal(set->fragments().size(), 1);
  ASSERT_SLICE(set->fragments()[0].begin, "a");
  ASSERT_SLICE(set->fragments()[0].end, "e");
  const auto all = RangeTombstoneSet::Build({{"", "", 3}});
  assert_int_equal(all->MaxCovering("", 3), 3);
  assert_int_equal(all->MaxCovering("\xff\xff", 3), 3);
}

static void range_tombstones__own_their_bytes(void**) {
  std::shared_ptr<const RangeTombstoneSet> set;
  {
    std::string begin = "begin-of-a-range-that-is-long-enough";
    std::string end = "end-of-a-range-that-is-long-enough";
    set = RangeTombstoneSet::Build({{begin, end, 4}});
    begin.assign(begin.size(), 'x');
    end.assign(end.size(), 'x');
  }
  assert_int_equal(set->MaxCovering("c", 4), 4);
  assert_true(set->memory_bytes() > 60);
}

static void range_tombstones__random_against_reference(void**) {
  Rng rng(kist::test::Seed("range_tombstones"));
  for (int round = 0; round < 400; ++round) {
    std::vector<std::string> keys;
    for (int i = 0; i < 12; ++i) keys.push_back(rng.Bytes(rng.Below(4), 'a', 3));
    std::vector<RangeTombstone> tombstones;
    for (uint64_t n = rng.Below(25); n > 0; --n) {
      tombstones.push_back({keys[rng.Below(12)],
                            rng.OneIn(10) ? Slice() : Slice(keys[rng.Below(12)]),
                            1 + rng.Below(20)});
    }
    // An empty key as an end means "past the last key".
    const auto set = RangeTombstoneSet::Build(tombstones);
    CheckShape(*set);
    for (int probe = 0; probe < 200; ++probe) {
      const std::string key = rng.Bytes(rng.Below(5), 'a', 4);
      const Sequence seq = rng.Below(22);
      assert_int_equal(set->MaxCovering(key, seq), Reference(tombstones, key, seq));
    }
  }
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(range_tombstones__empty_set_covers_nothing),
      cmocka_unit_test(range_tombstones__bounds_and_sequences),
      cmocka_unit_test(range_tombstones__equal_neighbours_are_one_fragment),
      cmocka_unit_test(range_tombstones__own_their_bytes),
      cmocka_unit_test(range_tombstones__random_against_reference),
  };
  return cmocka_run_group_tests_name("range_tombstones", tests, nullptr, nullptr);
}
