// The merge against one sorted vector: both directions, seeks, turns, errors, re-use.
#include "iter/merging_iterator.h"

#include "support/run_check.h"
#include "support/unit_test.h"
#include "support/vector_iterator.h"

using namespace kist;
using kist::test::CheckRun;
using kist::test::Entry;
using kist::test::Rng;
using kist::test::VectorIterator;

namespace {

std::string RandomKey(Rng* rng, int style) {
  switch (style) {
    case 0:
      return rng->Bytes(rng->Below(4), 'a', 3);
    case 1:
      return "a-long-common-prefix/" + rng->Bytes(rng->Below(4), 'a', 3);
    default:
      return rng->Bytes(8, 'a', 2) + rng->Bytes(rng->Below(3), 0, 2);
  }
}

void CheckAt(const InternalIterator& it, const std::vector<Entry>& all, size_t at) {
  if (at >= all.size()) {
    assert_false(it.valid());
    ASSERT_OK(it.status());
    return;
  }
  assert_true(it.valid());
  ASSERT_SLICE(it.key(), all[at].key);
  assert_int_equal(it.tag(), all[at].tag);
  ASSERT_SLICE(it.value(), all[at].value);
}

// Random steps over `merged` and the reference side by side.
void Walk(InternalIterator* merged, const std::vector<Entry>& all, Rng* rng, int style, int steps) {
  size_t at = all.size();  // not valid
  bool forward = true;
  for (int i = 0; i < steps; ++i) {
    const uint64_t what = rng->Below(17);
    const std::string key = RandomKey(rng, style);
    const uint64_t tag = rng->OneIn(4) ? kMaxTag : MakeTag(rng->Below(30), EntryKind::kPut);
    const size_t bound =
        static_cast<size_t>(std::partition_point(all.begin(), all.end(),
                                                 [&](const Entry& e) {
                                                   return CompareEntry(e.key, e.tag, key, tag) < 0;
                                                 }) -
                            all.begin());
    if (what < 14 || !merged->valid()) {
      forward = what != 1 && (!merged->valid() || (what != 3 && what < 9));
    }
    if (what == 0) {
      merged->SeekToFirst();
      at = 0;
    } else if (what == 1) {
      merged->SeekToLast();
      at = all.size() - 1;
    } else if (what == 2 || !merged->valid()) {
      merged->Seek(key, tag);
      at = bound;
    } else if (what == 3) {
      merged->SeekBefore(key, tag);
      at = bound - 1;
    } else if (what >= 14) {
      const auto expect = [&](size_t n) { return all[forward ? at + n : at - n]; };
      const size_t left = forward ? all.size() - at : at + 1;
      const size_t n = CheckRun(merged, forward, key, left, rng, expect);
      at = forward ? at + n - 1 : at - (n - 1);
    } else if (what < 9) {
      merged->Next();
      ++at;
    } else {
      merged->Prev();
      --at;
    }
    CheckAt(*merged, all, at);
  }
}

}  // namespace

static void merging_iterator__none_and_one(void**) {
  auto none = NewMergingIterator({});
  none->SeekToFirst();
  assert_false(none->valid());
  ASSERT_OK(none->status());
  none->SeekBefore("x", 1);
  assert_false(none->valid());
  std::vector<std::unique_ptr<InternalIterator>> one;
  one.push_back(std::make_unique<VectorIterator>(std::vector<Entry>{{"a", 256, "v"}}));
  InternalIterator* const source = one[0].get();
  const auto merged = NewMergingIterator(std::move(one));
  assert_ptr_equal(merged.get(), source);
}

static void merging_iterator__random_walks_match_the_sorted_whole(void**) {
  Rng rng(kist::test::Seed("merging_iterator"));
  for (int round = 0; round < 600; ++round) {
    const int style = static_cast<int>(rng.Below(3));
    const size_t sources = rng.Below(9);
    std::vector<std::vector<Entry>> parts(sources);
    std::vector<Entry> all;
    if (sources > 0) {
      for (uint64_t n = rng.Below(60); n > 0; --n) {
        Entry e{RandomKey(&rng, style), MakeTag(rng.Below(30), EntryKind::kPut), std::to_string(n)};
        bool taken = false;
        for (const Entry& o : all) taken |= o.key == e.key && o.tag == e.tag;
        if (taken) continue;
        parts[rng.Below(sources)].push_back(e);
        all.push_back(std::move(e));
      }
    }
    std::sort(all.begin(), all.end(), kist::test::EntryLess);
    std::vector<std::unique_ptr<InternalIterator>> iterators;
    for (auto& p : parts) iterators.push_back(std::make_unique<VectorIterator>(p));
    const auto merged = NewMergingIterator(std::move(iterators));
    Walk(merged.get(), all, &rng, style, 120);
  }
}

static void merging_iterator__equal_entries_keep_the_order_of_sources_both_ways(void**) {
  Rng rng(kist::test::Seed("merging_iterator"));
  for (int round = 0; round < 300; ++round) {
    std::vector<std::unique_ptr<InternalIterator>> iterators;
    std::vector<Entry> all;
    for (int source = 0; source < 4; ++source) {
      std::vector<Entry> part;
      for (char c = 'a'; c < 'e'; ++c) {
        if (rng.OneIn(2))
          part.push_back({std::string(1, c), MakeTag(5, EntryKind::kPut), std::to_string(source)});
      }
      all.insert(all.end(), part.begin(), part.end());
      iterators.push_back(std::make_unique<VectorIterator>(std::move(part)));
    }
    std::stable_sort(all.begin(), all.end(), kist::test::EntryLess);
    const auto merged = NewMergingIterator(std::move(iterators));
    merged->SeekToFirst();
    size_t at = 0;
    for (int i = 0; i < 60 && merged->valid(); ++i) {
      CheckAt(*merged, all, at);
      if (rng.OneIn(2)) {
        merged->Next();
        ++at;
      } else {
        merged->Prev();
        --at;
      }
    }
    CheckAt(*merged, all, at);
  }
}

static void merging_iterator__an_error_stops_it_and_is_not_an_end(void**) {
  Rng rng(kist::test::Seed("merging_iterator"));
  for (int round = 0; round < 300; ++round) {
    std::vector<std::unique_ptr<InternalIterator>> iterators;
    const size_t broken = rng.Below(3);
    const size_t fail_at = rng.Below(10);
    for (size_t source = 0; source < 3; ++source) {
      std::vector<Entry> part;
      for (int i = 0; i < 10; ++i)
        part.push_back({std::to_string(i), MakeTag(source + 1, EntryKind::kPut), ""});
      iterators.push_back(std::make_unique<VectorIterator>(
          std::move(part), source == broken ? fail_at : VectorIterator::kNever));
    }
    const auto merged = NewMergingIterator(std::move(iterators));
    const bool forward = rng.OneIn(2);
    forward ? merged->SeekToFirst() : merged->SeekToLast();
    size_t seen = 0;
    for (; merged->valid(); forward ? merged->Next() : merged->Prev()) ++seen;
    ASSERT_CODE(merged->status(), Code::kIo);
    assert_true(seen < 30);
    // Seeking to where nothing is broken works again.
    const size_t good = fail_at == 9 ? 0 : 9;
    if (good == 9) {
      merged->Seek("9", kMaxTag);
    } else {
      merged->SeekBefore("1", kMaxTag);
    }
    assert_true(merged->valid());
    ASSERT_OK(merged->status());
  }
}

static void merging_iterator__used_again_with_other_sources(void**) {
  VectorIterator a({{"a", 256, "1"}, {"c", 256, "3"}});
  VectorIterator b({{"b", 256, "2"}});
  MergingIterator merged;
  for (int round = 0; round < 3; ++round) {
    merged.Clear();
    merged.AddBorrowed(&a);
    merged.AddBorrowed(&b);
    std::string keys;
    for (merged.SeekToFirst(); merged.valid(); merged.Next()) keys += merged.key();
    assert_string_equal(keys.c_str(), "abc");
    merged.Clear();
    assert_false(merged.valid());
    merged.Add(std::make_unique<VectorIterator>(std::vector<Entry>{{"z", 256, "26"}}));
    merged.SeekToLast();
    ASSERT_SLICE(merged.key(), "z");
  }
}

static void merging_iterator__follows_the_leader_without_touching_others(void**) {
  std::vector<Entry> low;
  std::vector<Entry> high;
  for (int i = 0; i < 1000; ++i) {
    low.push_back({"a" + std::to_string(10000 + i), 256, ""});
    high.push_back({"b" + std::to_string(10000 + i), 256, ""});
  }
  VectorIterator a(low);
  VectorIterator b(high);
  MergingIterator merged;
  merged.AddBorrowed(&a);
  merged.AddBorrowed(&b);
  merged.SeekToFirst();
  for (int i = 0; i < 999; ++i) merged.Next();
  ASSERT_SLICE(merged.key(), "a10999");
  assert_int_equal(b.steps(), 1);
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(merging_iterator__none_and_one),
      cmocka_unit_test(merging_iterator__random_walks_match_the_sorted_whole),
      cmocka_unit_test(merging_iterator__equal_entries_keep_the_order_of_sources_both_ways),
      cmocka_unit_test(merging_iterator__an_error_stops_it_and_is_not_an_end),
      cmocka_unit_test(merging_iterator__used_again_with_other_sources),
      cmocka_unit_test(merging_iterator__follows_the_leader_without_touching_others),
  };
  return cmocka_run_group_tests_name("merging_iterator", tests, nullptr, nullptr);
}
