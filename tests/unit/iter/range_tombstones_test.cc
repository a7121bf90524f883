// Sets of range tombstones against asking every tombstone.
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

// Whatever is asked, the answer holds in the whole stretch that comes with it.
static void CheckCover(const RangeTombstoneSet& set, Slice key, Sequence seq) {
  const RangeCover c = set.Find(key, seq);
  assert_true(c.Holds(key));
  assert_int_equal(set.MaxCovering(c.begin, seq), c.seq);
  const std::string after = std::string(key) + '\0';
  if (c.Holds(after)) assert_int_equal(set.MaxCovering(after, seq), c.seq);
  if (!c.end.empty()) {
    const RangeCover before = set.FindBefore(c.end, seq);
    assert_int_equal(before.seq, c.seq);
    assert_true(before.begin <= key && before.end >= c.end);
  }
}

// The newest at each key, disjoint and ascending.
static void CheckNewest(const RangeTombstoneSet& set) {
  const std::vector<RangeTombstone> newest = set.Newest();
  assert_true(newest.size() <= 2 * set.tombstones().size());
  for (size_t i = 0; i < newest.size(); ++i) {
    const RangeTombstone& t = newest[i];
    assert_true(t.end.empty() ? i + 1 == newest.size() : t.begin < t.end);
    if (i > 0) assert_true(newest[i - 1].end <= t.begin);
    assert_int_equal(set.MaxCovering(t.begin, kMaxSequence), t.seq);
  }
}

static void range_tombstones__empty_set_covers_nothing(void**) {
  const auto set = RangeTombstoneSet::Build({});
  assert_int_equal(set->MaxCovering("a", kMaxSequence), 0);
  assert_int_equal(set->tombstones().size(), 0);
  assert_int_equal(set->Newest().size(), 0);
  const auto nothing = RangeTombstoneSet::Build({{"b", "b", 5}, {"c", "a", 6}});
  assert_int_equal(nothing->tombstones().size(), 0);
}

static void range_tombstones__bounds_and_sequences(void**) {
  const auto set = RangeTombstoneSet::Build({{"b", "f", 10}, {"d", "h", 20}, {"x", "", 5}});
  CheckNewest(*set);
  assert_int_equal(set->MaxCovering("a", kMaxSequence), 0);
  assert_int_equal(set->MaxCovering("b", kMaxSequence), 10);
  assert_int_equal(set->MaxCovering("d", kMaxSequence), 20);
  assert_int_equal(set->MaxCovering("d", 19), 10);
  assert_int_equal(set->MaxCovering("d", 9), 0);
  assert_int_equal(set->MaxCovering("f", 19), 0);
  assert_int_equal(set->MaxCovering("f", 20), 20);
  assert_int_equal(set->MaxCovering("h", kMaxSequence), 0);
  assert_int_equal(set->MaxCovering("zzzz", kMaxSequence), 5);
  const RangeCover c = set->Find("e", kMaxSequence);
  assert_int_equal(c.seq, 20);
  ASSERT_SLICE(c.begin, "d");
  ASSERT_SLICE(c.end, "h");
  const RangeCover gap = set->Find("w", kMaxSequence);
  assert_int_equal(gap.seq, 0);
  ASSERT_SLICE(gap.begin, "h");
  ASSERT_SLICE(gap.end, "x");
}

static void range_tombstones__equal_neighbours_are_one_stretch(void**) {
  const auto set = RangeTombstoneSet::Build({{"a", "c", 7}, {"c", "e", 7}, {"a", "d", 7}});
  const std::vector<RangeTombstone> newest = set->Newest();
  assert_int_equal(newest.size(), 1);
  ASSERT_SLICE(newest[0].begin, "a");
  ASSERT_SLICE(newest[0].end, "e");
  const auto all = RangeTombstoneSet::Build({{"", "", 3}});
  assert_int_equal(all->MaxCovering("", 3), 3);
  assert_int_equal(all->MaxCovering("\xff\xff", 3), 3);
}

// Ten thousand ranges, each within the one before: memory and work near n, not n * n.
static void range_tombstones__nested(void**) {
  constexpr int kRanges = 10000;
  std::vector<std::string> keys;
  for (int i = 0; i < 2 * kRanges; ++i) {
    char key[16];
    std::snprintf(key, sizeof key, "%06d", i);
    keys.push_back(key);
  }
  for (const bool newest_inside : {true, false}) {
    std::vector<RangeTombstone> tombstones;
    for (int i = 0; i < kRanges; ++i) {
      const int depth = newest_inside ? i : kRanges - 1 - i;
      tombstones.push_back({keys[static_cast<size_t>(depth)],
                            keys[static_cast<size_t>(2 * kRanges - 1 - depth)],
                            static_cast<Sequence>(i + 1)});
    }
    const auto set = RangeTombstoneSet::Build(tombstones);
    assert_true(set->memory_bytes() < size_t{400} * kRanges);
    CheckNewest(*set);
    assert_int_equal(set->Newest().size(), newest_inside ? 2 * kRanges - 1 : 1);
    for (int i = 0; i < 2 * kRanges; i += 997) {
      for (const Sequence seq : {Sequence{1}, Sequence{777}, Sequence{kRanges}}) {
        assert_int_equal(set->MaxCovering(keys[static_cast<size_t>(i)], seq),
                         Reference(tombstones, keys[static_cast<size_t>(i)], seq));
        CheckCover(*set, keys[static_cast<size_t>(i)], seq);
      }
    }
  }
}

static void range_tombstones__several_sets_as_one(void**) {
  const auto a = RangeTombstoneSet::Build({{"b", "d", 5}, {"d", "f", 6}, {"h", "k", 4}});
  const auto b = RangeTombstoneSet::Build({{"e", "i", 9}, {"k", "m", 3}, {"p", "", 50}});
  const std::vector<RangeCoverCursor::Part> parts = {{a.get(), 100}, {b.get(), 40}};
  RangeCoverCursor cursor(&parts);
  assert_int_equal(cursor.At("e").seq, 9);
  assert_int_equal(cursor.At("c").seq, 5);
  assert_int_equal(cursor.At("q").seq, 0);  // newer than its part's bound
  ASSERT_SLICE(cursor.CoveredUntil("c", 1), "m");
  ASSERT_SLICE(cursor.CoveredUntil("c", 5), "i");
  ASSERT_SLICE(cursor.CoveredFrom("l", 1), "b");
  ASSERT_SLICE(cursor.CoveredFrom("h", 6), "d");
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
    for (uint64_t n = rng.Below(round % 4 == 0 ? 200 : 25); n > 0; --n) {
      tombstones.push_back({keys[rng.Below(12)],
                            rng.OneIn(10) ? Slice() : Slice(keys[rng.Below(12)]),
                            1 + rng.Below(20)});
    }
    // An empty key as an end means "past the last key".
    const auto set = RangeTombstoneSet::Build(tombstones);
    CheckNewest(*set);
    for (int probe = 0; probe < 200; ++probe) {
      const std::string key = rng.Bytes(rng.Below(5), 'a', 4);
      const Sequence seq = rng.Below(22);
      assert_int_equal(set->MaxCovering(key, seq), Reference(tombstones, key, seq));
      CheckCover(*set, key, seq);
    }
  }
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(range_tombstones__empty_set_covers_nothing),
      cmocka_unit_test(range_tombstones__bounds_and_sequences),
      cmocka_unit_test(range_tombstones__equal_neighbours_are_one_stretch),
      cmocka_unit_test(range_tombstones__nested),
      cmocka_unit_test(range_tombstones__several_sets_as_one),
      cmocka_unit_test(range_tombstones__own_their_bytes),
      cmocka_unit_test(range_tombstones__random_against_reference),
  };
  return cmocka_run_group_tests_name("range_tombstones", tests, nullptr, nullptr);
}
