// The drop rule: what a flush or compaction may leave out. A random test holds it against every
// reader that may exist: what a reader sees of the kept versions is what it saw of all.
#include "compaction/drop_rule.h"

#include <map>
#include <optional>
#include <vector>

#include "support/unit_test.h"
#include "util/coding.h"

namespace kist::test {
namespace {

struct Version {
  uint64_t tag;
  std::string value;
};

std::string Expiring(int64_t at) {
  std::string v;
  Append64(&v, static_cast<uint64_t>(at));
  return v + "v";
}

// What a reader at `seq` and `now` sees of a key's versions, newest first.
std::optional<std::string> Seen(const std::vector<Version>& versions, const RangeTombstoneSet* set,
                                Sequence seq, int64_t now) {
  for (const Version& v : versions) {
    if (TagSequence(v.tag) > seq) continue;
    if (set != nullptr && set->MaxCovering("k", seq) > TagSequence(v.tag)) return std::nullopt;
    if (TagKind(v.tag) == EntryKind::kDelete) return std::nullopt;
    if (TagKind(v.tag) == EntryKind::kPut) return v.value;
    if (static_cast<int64_t>(Load64(v.value.data())) <= now) return std::nullopt;
    return v.value.substr(8);
  }
  return std::nullopt;
}

std::vector<Version> Run(const std::vector<Version>& in, const Visibility& visibility,
                         const RangeTombstoneSet* set, bool bottom, DropCounts* counts = nullptr) {
  DropRule rule(visibility, set);
  std::vector<Version> out;
  for (const Version& v : in) {
    uint64_t tag = 0;
    const Verdict verdict = rule.Decide("k", v.tag, v.value, bottom, &tag);
    if (verdict == Verdict::kKeep) out.push_back({tag, v.value});
    if (verdict == Verdict::kKeepAsDelete) out.push_back({tag, ""});
  }
  if (counts != nullptr) *counts = rule.counts();
  return out;
}

Visibility At(std::vector<Sequence> snapshots, Sequence newest, int64_t now = 0) {
  Visibility v;
  v.snapshots = std::move(snapshots);
  v.newest = newest;
  v.ttl_time_ms = now;
  return v;
}

void drop_rule__newest_wins(void**) {
  DropCounts counts;
  const auto out = Run({{MakeTag(9, EntryKind::kPut), "new"}, {MakeTag(5, EntryKind::kPut), "old"}},
                       At({}, 9), nullptr, false, &counts);
  assert_int_equal(out.size(), 1);
  assert_int_equal(TagSequence(out[0].tag), 9);
  assert_int_equal(counts.shadowed, 1);
}

void drop_rule__a_snapshot_keeps_what_it_sees(void**) {
  const std::vector<Version> in = {{MakeTag(9, EntryKind::kPut), "c"},
                                   {MakeTag(5, EntryKind::kPut), "b"},
                                   {MakeTag(3, EntryKind::kPut), "a"}};
  assert_int_equal(Run(in, At({5}, 9), nullptr, false).size(), 2);
  assert_int_equal(Run(in, At({8}, 9), nullptr, false).size(), 2);
  assert_int_equal(Run(in, At({4}, 9), nullptr, false).size(), 2);
  assert_int_equal(Run(in, At({3, 5}, 9), nullptr, false).size(), 3);
  assert_int_equal(Run(in, At({2}, 9), nullptr, false).size(), 1);
}

void drop_rule__tombstones_go_only_at_the_bottom(void**) {
  const std::vector<Version> in = {{MakeTag(9, EntryKind::kDelete), ""},
                                   {MakeTag(5, EntryKind::kPut), "b"}};
  assert_int_equal(Run(in, At({}, 9), nullptr, false).size(), 1);
  assert_int_equal(Run(in, At({}, 9), nullptr, true).size(), 0);
  assert_int_equal(Run(in, At({7}, 9), nullptr, true).size(), 2);  // an older reader needs both
}

void drop_rule__an_expired_value_hides_like_a_delete(void**) {
  const std::vector<Version> in = {{MakeTag(9, EntryKind::kPutTtl), Expiring(100)},
                                   {MakeTag(5, EntryKind::kPut), "older"}};
  const auto upper = Run(in, At({}, 9, 100), nullptr, false);
  assert_int_equal(upper.size(), 1);
  assert_true(TagKind(upper[0].tag) == EntryKind::kDelete);
  assert_int_equal(Run(in, At({}, 9, 100), nullptr, true).size(), 0);
  const auto early = Run(in, At({}, 9, 99), nullptr, true);  // some reader's time is before it
  assert_int_equal(early.size(), 1);
  assert_true(TagKind(early[0].tag) == EntryKind::kPutTtl);
}

void drop_rule__sequence_zero_at_the_bottom_only(void**) {
  const std::vector<Version> in = {{MakeTag(5, EntryKind::kPut), "b"}};
  assert_int_equal(TagSequence(Run(in, At({}, 9), nullptr, true)[0].tag), 0);
  assert_int_equal(TagSequence(Run(in, At({}, 9), nullptr, false)[0].tag), 5);
  assert_int_equal(TagSequence(Run(in, At({4}, 9), nullptr, true)[0].tag), 5);
  // An older range tombstone over the key may live on in the output.
  const auto set = RangeTombstoneSet::Build({{"a", "z", 3}});
  assert_int_equal(TagSequence(Run(in, At({}, 9), set.get(), true)[0].tag), 5);
}

void drop_rule__every_reader_sees_the_same(void**) {
  Rng rng(Seed("drop_rule__every_reader_sees_the_same"));
  for (int round = 0; round < 20000; ++round) {
    const Sequence newest = 2 + rng.Below(30);
    std::vector<Version> in;
    for (Sequence s = newest; s > 0; --s) {
      if (!rng.OneIn(3)) continue;
      const uint64_t kind = rng.Below(4);
      if (kind == 0) {
        in.push_back({MakeTag(s, EntryKind::kDelete), ""});
      } else if (kind == 1) {
        in.push_back({MakeTag(s, EntryKind::kPutTtl),
                      Expiring(static_cast<int64_t>(rng.Below(40))) + std::to_string(s)});
      } else {
        in.push_back({MakeTag(s, EntryKind::kPut), std::to_string(s)});
      }
    }
    std::vector<RangeTombstone> tombstones;
    for (uint64_t i = rng.Below(3); i > 0; --i)
      tombstones.push_back({"a", "z", 1 + rng.Below(newest)});
    const auto set = tombstones.empty() ? nullptr : RangeTombstoneSet::Build(tombstones);
    Visibility v = At({}, newest, static_cast<int64_t>(rng.Below(40)));
    for (Sequence s = 0; s <= newest; ++s) {
      if (rng.OneIn(8)) v.snapshots.push_back(s);
    }
    const bool bottom = rng.OneIn(2);
    const auto out = Run(in, v, set.get(), bottom);
    std::vector<Sequence> readers = v.snapshots;
    readers.push_back(newest);
    for (Sequence reader : readers) {
      for (int64_t now : {v.ttl_time_ms, v.ttl_time_ms + 7}) {
        const auto before = Seen(in, set.get(), reader, now);
        const auto after = Seen(out, set.get(), reader, now);
        if (before != after)
          fail_msg("round %d: reader %d differs", round, static_cast<int>(reader));
      }
    }
  }
}

// A value that says it expires and has no time is no value of anybody's.
void drop_rule__a_value_without_its_time_has_expired(void**) {
  for (const char* value : {"", "1234567"}) {
    const std::vector<Version> in = {{MakeTag(5, EntryKind::kPutTtl), value}};
    assert_true(Run(in, At({}, 10), nullptr, true).empty());
    const auto kept = Run(in, At({}, 10), nullptr, false);
    assert_int_equal(kept.size(), 1);
    assert_true(TagKind(kept[0].tag) == EntryKind::kDelete);
  }
}

// A later snapshot may see any of the tombstones that the newest reader does not see yet.
void drop_rule__tombstones_above_the_newest_reader(void**) {
  const auto tombstone = [](const char* begin, const char* end, Sequence seq) {
    RangeTombstone t;
    t.begin = begin;
    t.end = end;
    t.seq = seq;
    return t;
  };
  const NeededTombstones needed(
      At({}, 10), {tombstone("a", "m", 5), tombstone("a", "z", 11), tombstone("c", "d", 12)});
  const auto set = RangeTombstoneSet::Build(needed.all());
  assert_int_equal(set->MaxCovering("b", 10), 5);
  assert_int_equal(set->MaxCovering("n", 10), 0);
  assert_int_equal(set->MaxCovering("b", 11), 11);
  assert_int_equal(set->MaxCovering("c", 11), 11);
  assert_int_equal(set->MaxCovering("c", kMaxSequence), 12);
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(drop_rule__newest_wins),
      cmocka_unit_test(drop_rule__a_snapshot_keeps_what_it_sees),
      cmocka_unit_test(drop_rule__tombstones_go_only_at_the_bottom),
      cmocka_unit_test(drop_rule__an_expired_value_hides_like_a_delete),
      cmocka_unit_test(drop_rule__sequence_zero_at_the_bottom_only),
      cmocka_unit_test(drop_rule__every_reader_sees_the_same),
      cmocka_unit_test(drop_rule__a_value_without_its_time_has_expired),
      cmocka_unit_test(drop_rule__tombstones_above_the_newest_reader),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
