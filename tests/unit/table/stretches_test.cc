// Stretches: passing what is older ends where walking would, whatever the sequences look like; an
// old stretch of many blocks stays by itself among many; what is damaged is refused.
#include "table/stretches.h"

#include <cstdio>

#include "table_testing.h"

using namespace kist;
using namespace kist::test;

namespace {

std::string KeyOf(size_t i) {
  char key[16];
  std::snprintf(key, sizeof key, "k%06zu", i);
  return key;
}

// Runs of keys, each about as new as the next sequence drawn; some keys have several versions.
std::vector<Version> RunsOfVersions(Rng* rng, size_t keys) {
  std::vector<Version> all;
  Sequence base = 1;
  size_t left = 0;
  for (size_t i = 0; i < keys; ++i) {
    if (left-- == 0) {
      base = 1 + rng->Below(100000);
      left = rng->OneIn(3) ? rng->Below(400) : rng->Below(10);
    }
    for (uint64_t v = rng->OneIn(20) ? 1 + rng->Below(30) : 1; v > 0; --v) {
      all.push_back({KeyOf(i), MakeTag(base + rng->Below(100), EntryKind::kPut),
                     std::string(rng->Below(60), 'v')});
    }
  }
  SortVersions(&all);
  return all;
}

void Same(const InternalIterator& a, const InternalIterator& b) {
  ASSERT_OK(a.status());
  assert_true(a.valid() == b.valid());
  if (a.valid()) assert_true(a.key() == b.key() && a.tag() == b.tag());
}

void stretches__passing_ends_where_walking_does(void**) {
  Rng rng(Seed("stretches__passing_ends_where_walking_does"));
  for (int round = 0; round < 12; ++round) {
    const size_t keys = 500 + rng.Below(3000);
    auto vfs = NewMemoryVfs();
    Build(vfs.get(), "/t", OptionsOf(256), RunsOfVersions(&rng, keys));
    RefPtr<Table> table = OpenTable(vfs.get(), "/t");
    assert_true(table->stretches().known());
    assert_in_range(table->stretches().count(), 1, Stretches::kMost);
    ASSERT_OK(VerifyTable(table.get()));
    auto leaps = table->NewIterator(ReadContext());
    auto walks = table->NewIterator(ReadContext());
    for (int i = 0; i < 300; ++i) {
      const std::string from = KeyOf(rng.Below(keys));
      const std::string to = rng.OneIn(6) ? "" : KeyOf(rng.Below(keys));
      const Sequence seq = rng.Below(101000);
      const bool up = rng.OneIn(2);
      for (InternalIterator* it : {leaps.get(), walks.get()})
        up ? it->Seek(from, kMaxTag) : it->SeekBefore(from, kMaxTag);
      if (!walks->valid()) continue;
      if (up) {
        leaps->PassUp(to, seq);
        walks->InternalIterator::PassUp(to, seq);
      } else {
        leaps->PassDown(to, seq);
        walks->InternalIterator::PassDown(to, seq);
      }
      Same(*leaps, *walks);
    }
  }
}

void stretches__a_long_old_one_stays_by_itself(void**) {
  StretchBuilder builder;
  std::string last;
  for (size_t i = 0; i < 30000; ++i) {
    builder.BeginBlock(last, KeyOf(i));
    const bool old = i >= 10000 && i < 20000;
    builder.Note(old ? 1000 + i * 7919 % 5000 : i % 5 == 0 ? 5000 : 900000 + i * 7919 % 5000);
    last = KeyOf(i) + "x";
  }
  Stretches all;
  assert_null(all.Load(builder.Finish(1000000)));
  assert_in_range(all.count(), 3, Stretches::kMost);
  for (size_t i = 10000; i < 20000; i += 100) assert_true(all[all.Find(KeyOf(i))].newest < 6000);
  assert_true(all[all.Find(KeyOf(9999))].newest > 900000 ||
              all[all.Find(KeyOf(9998))].newest > 900000);
}

void stretches__small_or_uniform_tables_have_none(void**) {
  StretchBuilder few;
  for (size_t i = 0; i + 1 < Stretches::kLeastBlocks; ++i) {
    few.BeginBlock(i == 0 ? "" : KeyOf(i - 1), KeyOf(i));
    few.Note(i);
  }
  assert_true(few.Finish(1000).empty());
  StretchBuilder same;
  for (size_t i = 0; i < 100; ++i) {
    same.BeginBlock(i == 0 ? "" : KeyOf(i - 1), KeyOf(i));
    same.Note(7);
  }
  assert_true(same.Finish(7).empty());
  assert_true(StretchBuilder().Finish(0).empty());
  Stretches none;
  assert_null(none.Load(Slice()));
  assert_false(none.known());
}

void stretches__damage_is_refused(void**) {
  StretchBuilder builder;
  for (size_t i = 0; i < 100; ++i) {
    builder.BeginBlock(i == 0 ? "" : KeyOf(i - 1), KeyOf(i));
    builder.Note(i * i);
  }
  const std::string good = builder.Finish(100000);
  Stretches all;
  assert_null(all.Load(good));
  for (size_t n = 1; n < 12; ++n) assert_non_null(all.Load(Slice(good).substr(0, n)));
  assert_non_null(all.Load(Slice(good).substr(12)));  // the first must begin at the empty key
  assert_non_null(all.Load(good + good));
  std::string newer = good;
  newer[7] = '\x7f';
  assert_non_null(all.Load(newer));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(stretches__passing_ends_where_walking_does),
      cmocka_unit_test(stretches__a_long_old_one_stays_by_itself),
      cmocka_unit_test(stretches__small_or_uniform_tables_have_none),
      cmocka_unit_test(stretches__damage_is_refused),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
