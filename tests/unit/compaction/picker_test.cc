// The picker: a pure function, tested on versions that are described, not made by writing.
#include "compaction/picker.h"

#include "support/unit_test.h"

namespace kist::test {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

// Versions of tables that never exist as files.
class Shape {
 public:
  Shape() : store_(TableStore::Options()) {}
  Shape& Add(int level, const char* from, const char* to, uint64_t mib, Sequence seq = 1) {
    TableProperties p;
    p.smallest_key = from;
    p.largest_key = to;
    p.file_bytes = mib * kMiB;
    p.entries = 100;
    p.smallest_seq = p.largest_seq = seq;
    return Add(level, p);
  }
  Shape& Add(int level, const TableProperties& p) {
    added_.emplace_back(level, RefPtr<LiveTable>::Adopt(new LiveTable(&store_, ++number_, 0, p)));
    return *this;
  }
  RefPtr<KeyspaceVersion> Make() {
    auto kv = ApplyToKeyspace(nullptr, 0, added_, {});
    ASSERT_OK(kv.status());
    return kv.Take();
  }

 private:
  TableStore store_;
  uint64_t number_ = 0;
  std::vector<std::pair<int, RefPtr<LiveTable>>> added_;
};

void picker__nothing_to_do(void**) {
  Shape shape;
  shape.Add(0, "a", "z", 8, 9).Add(6, "a", "z", 10);
  assert_false(PickCompaction(*shape.Make(), PickOptions()).has_value());
  assert_int_equal(CompactionDebt(*shape.Make(), PickOptions()), 0);
}

void picker__level_0_takes_all_its_files_and_what_they_overlap(void**) {
  Shape shape;
  for (Sequence s = 1; s <= 4; ++s) shape.Add(0, "a", "m", 8, 10 + s);
  shape.Add(6, "a", "f", 8).Add(6, "g", "l", 8).Add(6, "p", "z", 8);
  const auto kv = shape.Make();
  const auto plan = PickCompaction(*kv, PickOptions());
  assert_true(plan.has_value());
  assert_true(plan->reason == CompactionReason::kLevel0);
  assert_int_equal(plan->inputs.size(), 4);
  assert_int_equal(plan->overlapping.size(), 2);
  assert_int_equal(plan->output_level, 6);
  assert_false(plan->trivial_move);
  assert_true(CompactionDebt(*kv, PickOptions()) > 0);
}

void picker__tiers_small_files_over_a_large_base(void**) {
  Shape shape;
  for (Sequence s = 1; s <= 4; ++s) shape.Add(0, "a", "z", 1, 10 + s);
  shape.Add(6, "a", "z", 60);
  const auto plan = PickCompaction(*shape.Make(), PickOptions());
  assert_true(plan.has_value());
  assert_true(plan->reason == CompactionReason::kLevel0Tiered);
  assert_int_equal(plan->output_level, 0);
  assert_int_equal(plan->overlapping.size(), 0);
}

void picker__files_that_overlap_nothing_move(void**) {
  Shape shape;
  shape.Add(0, "a", "b", 8, 11)
      .Add(0, "c", "d", 8, 12)
      .Add(0, "e", "f", 8, 13)
      .Add(0, "g", "h", 8, 14);
  auto plan = PickCompaction(*shape.Make(), PickOptions());
  assert_true(plan.has_value());
  assert_true(plan->trivial_move);
  Shape crossing;  // two that overlap each other do not
  crossing.Add(0, "a", "d", 8, 11)
      .Add(0, "c", "d", 8, 12)
      .Add(0, "e", "f", 8, 13)
      .Add(0, "g", "h", 8, 14);
  plan = PickCompaction(*crossing.Make(), PickOptions());
  assert_true(plan.has_value());
  assert_false(plan->trivial_move);
}

void picker__a_level_above_its_aim_gives_the_cheapest_file(void**) {
  Shape shape;
  shape.Add(5, "a", "c", 40).Add(5, "d", "f", 40).Add(5, "g", "i", 40);
  shape.Add(6, "a", "c", 300).Add(6, "d", "e", 10).Add(6, "g", "i", 300);
  const auto plan = PickCompaction(*shape.Make(), PickOptions());
  assert_true(plan.has_value());
  assert_true(plan->reason == CompactionReason::kLevelSize);
  assert_int_equal(plan->inputs.size(), 1);
  assert_string_equal(plan->inputs[0]->properties().smallest_key.c_str(), "d");
  assert_int_equal(plan->output_level, 6);
}

void picker__seeks_pay_for_level_0_below_its_trigger(void**) {
  Shape shape;
  shape.Add(0, "a", "m", 8, 11).Add(0, "f", "z", 8, 12).Add(6, "a", "z", 24);
  const auto kv = shape.Make();
  PickOptions o;
  assert_false(PickCompaction(*kv, o).has_value());
  o.level0_seeks = 40 * 1024 - 1;  // a KiB each, of 40 MiB
  assert_false(PickCompaction(*kv, o).has_value());
  o.level0_seeks = 40 * 1024;
  const auto plan = PickCompaction(*kv, o);
  assert_true(plan.has_value());
  assert_true(plan->reason == CompactionReason::kSeeks);
  assert_int_equal(plan->inputs.size(), 2);
  assert_int_equal(plan->overlapping.size(), 1);
  assert_int_equal(plan->output_level, 6);
  assert_int_equal(CompactionDebt(*kv, o), 0);  // no writer is slowed for it

  Shape small;  // what is cheap waits for some seeks too
  small.Add(0, "a", "m", 0, 11).Add(0, "f", "z", 0, 12);
  o.level0_seeks = kLevel0SeeksMin - 1;
  assert_false(PickCompaction(*small.Make(), o).has_value());
  o.level0_seeks = kLevel0SeeksMin;
  assert_true(PickCompaction(*small.Make(), o).has_value());

  Shape one;  // of which no seek wants less
  one.Add(0, "a", "m", 8, 11).Add(6, "a", "z", 24);
  o.level0_seeks = UINT32_MAX;
  assert_false(PickCompaction(*one.Make(), o).has_value());
}

void picker__tombstones_and_expired_tables_are_worth_it(void**) {
  TableProperties p;
  p.smallest_key = "a";
  p.largest_key = "z";
  p.file_bytes = kMiB;
  p.entries = 100;
  p.deletes = 60;
  p.largest_seq = 50;
  Shape dense;
  dense.Add(6, p);
  PickOptions o;
  auto plan = PickCompaction(*dense.Make(), o);
  assert_true(plan.has_value() && plan->reason == CompactionReason::kTombstones);
  assert_int_equal(plan->output_level, 6);
  o.oldest_snapshot = 49;  // a reader still needs what the tombstones would let go
  assert_false(PickCompaction(*dense.Make(), o).has_value());
  p.deletes = 0;
  p.ttl_entries = 100;
  p.earliest_expiry_ms = p.latest_expiry_ms = 1000;
  Shape expired;
  expired.Add(6, p);
  o = PickOptions();
  o.now_ms = 999;
  assert_false(PickCompaction(*expired.Make(), o).has_value());
  o.now_ms = 1000;
  plan = PickCompaction(*expired.Make(), o);
  assert_true(plan.has_value() && plan->reason == CompactionReason::kExpired);
  assert_int_equal(NextExpiryMs(*expired.Make()), 1000);
}

// Half of a table is enough, counted as if expiries lay evenly between the first and the last one;
// level 0 takes part.
void picker__partly_expired_tables(void**) {
  TableProperties p;
  p.smallest_key = "a";
  p.largest_key = "z";
  p.file_bytes = kMiB;
  p.entries = 100;
  p.largest_seq = 50;
  p.ttl_entries = 80;
  p.earliest_expiry_ms = 1000;
  p.latest_expiry_ms = 1800;
  for (const int level : {0, 6}) {
    Shape shape;
    shape.Add(level, p);
    assert_int_equal(NextExpiryMs(*shape.Make()), 1500);
    PickOptions o;
    o.now_ms = 1499;
    assert_false(PickCompaction(*shape.Make(), o).has_value());
    o.now_ms = 1500;
    const auto plan = PickCompaction(*shape.Make(), o);
    assert_true(plan.has_value() && plan->reason == CompactionReason::kExpired);
    assert_false(plan->trivial_move);
    assert_true(plan->output_level > 0);
    o.oldest_snapshot = 49;
    assert_false(PickCompaction(*shape.Make(), o).has_value());
  }
  p.ttl_entries = 40;  // too few to be worth it, ever
  Shape few;
  few.Add(6, p);
  assert_true(NextExpiryMs(*few.Make()) == INT64_MAX);
  PickOptions o;
  o.now_ms = 5000;
  assert_false(PickCompaction(*few.Make(), o).has_value());
}

void picker__targets_grow_from_the_bottom(void**) {
  Shape shape;
  shape.Add(6, "a", "z", 10000);
  PickOptions o;
  o.base_bytes = 64 * kMiB;
  const LevelTargets t = ComputeTargets(*shape.Make(), o);
  assert_int_equal(t.bytes[6], 10000 * kMiB);
  assert_int_equal(t.bytes[5], 1000 * kMiB);
  assert_int_equal(t.bytes[4], 100 * kMiB);
  assert_int_equal(t.base_level, 4);
}

void picker__the_same_version_gives_the_same_plan(void**) {
  Rng rng(Seed("picker__the_same_version_gives_the_same_plan"));
  for (int round = 0; round < 300; ++round) {
    Shape shape;
    for (uint64_t i = rng.Below(14); i > 0; --i) {
      const std::string from(1, static_cast<char>('a' + rng.Below(20)));
      shape.Add(0, from.c_str(), (from + "z").c_str(), 1 + rng.Below(64), 100 + i);
    }
    for (int level = 4; level <= 6; ++level) {
      for (char c = 'a'; c < 'z'; c = static_cast<char>(c + 2)) {
        if (rng.OneIn(2)) continue;
        const std::string from(1, c);
        shape.Add(level, from.c_str(), (from + "y").c_str(), 1 + rng.Below(200));
      }
    }
    const auto kv = shape.Make();
    const auto one = PickCompaction(*kv, PickOptions());
    const auto two = PickCompaction(*kv, PickOptions());
    assert_int_equal(one.has_value(), two.has_value());
    if (!one) continue;
    assert_int_equal(one->input_bytes(), two->input_bytes());
    // Whatever is picked, nothing of the output level that the inputs span is left out.
    if (one->output_level == one->input_level) continue;
    for (const auto& f : kv->levels[one->output_level].files()) {
      bool spans = false, taken = false;
      for (const auto& in : one->inputs) {
        spans |=
            f->Overlaps(in->properties().smallest_key, in->properties().largest_key, true, false);
      }
      for (const auto& o : one->overlapping) taken |= o.get() == f.get();
      if (spans && !taken) fail_msg("round %d: a table is left out", round);
    }
  }
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(picker__nothing_to_do),
      cmocka_unit_test(picker__level_0_takes_all_its_files_and_what_they_overlap),
      cmocka_unit_test(picker__tiers_small_files_over_a_large_base),
      cmocka_unit_test(picker__files_that_overlap_nothing_move),
      cmocka_unit_test(picker__a_level_above_its_aim_gives_the_cheapest_file),
      cmocka_unit_test(picker__seeks_pay_for_level_0_below_its_trigger),
      cmocka_unit_test(picker__tombstones_and_expired_tables_are_worth_it),
      cmocka_unit_test(picker__partly_expired_tables),
      cmocka_unit_test(picker__targets_grow_from_the_bottom),
      cmocka_unit_test(picker__the_same_version_gives_the_same_plan),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
