// TombstoneLog against all its tombstones looked at one by one, and its cost where adds and looks
// alternate.
#include "memtable/tombstone_log.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/unit_test.h"

namespace kist {
namespace {

using test::Rng;
using test::Seed;

// A log with the memory of its items, and what it should answer.
struct Fixture {
  struct Tombstone {
    std::string begin, end;
    Sequence seq;
  };
  void Add(const std::string& begin, const std::string& end, Sequence seq) {
    memory.push_back(std::make_unique<uint64_t[]>(TombstoneLog::BytesFor(begin, end) / 8));
    log.Add(reinterpret_cast<char*>(memory.back().get()), begin, end, seq);
    all.push_back({begin, end, seq});
  }
  Sequence Want(const std::string& key, Sequence seq) const {
    Sequence best = 0;
    for (const auto& t : all) {
      if (t.seq <= seq && t.begin <= key && (t.end.empty() || key < t.end))
        best = std::max(best, t.seq);
    }
    return best;
  }
  std::vector<std::unique_ptr<uint64_t[]>> memory;
  std::vector<Tombstone> all;
  TombstoneLog log;
};

std::string Number(uint64_t n) {
  char s[16];
  std::snprintf(s, sizeof s, "%08llu", static_cast<unsigned long long>(n));
  return s;
}

void tombstone_log__agrees_with_a_list(void**) {
  Rng rng(Seed(__func__));
  for (int width = 1; width <= 1000; width *= 10) {
    Fixture f;
    Sequence seq = 0;
    for (int i = 0; i < 1500; ++i) {
      if (!rng.OneIn(4)) ++seq;
      const uint64_t begin = rng.Below(1000);
      std::string end = Number(begin + rng.Below(static_cast<uint64_t>(width) + 1));
      if (rng.OneIn(200)) end.clear();
      f.Add(rng.OneIn(200) ? "" : Number(begin), end, seq);
      for (int k = 0; k < 4; ++k) {
        const std::string key = Number(rng.Below(1010)) + (rng.OneIn(3) ? "x" : "");
        const Sequence at = rng.OneIn(2) ? kMaxSequence : rng.Below(seq + 2);
        assert_int_equal(f.log.MaxCovering(key, at), f.Want(key, at));
      }
    }
  }
}

void tombstone_log__a_set_holds_all_of_its_moment(void**) {
  Rng rng(Seed(__func__));
  Fixture f;
  assert_null(f.log.RangeSet().get());
  for (Sequence seq = 1; seq <= 100; ++seq) {
    const uint64_t begin = rng.Below(100);
    f.Add(Number(begin), Number(begin + rng.Below(20)), seq);
    const auto set = f.log.RangeSet();
    assert_true(f.log.RangeSet() == set);
    for (int k = 0; k < 20; ++k) {
      const std::string key = Number(rng.Below(120));
      const Sequence at = rng.Below(seq + 2);
      assert_int_equal(set->MaxCovering(key, at), f.Want(key, at));
    }
  }
  assert_true(f.log.set_bytes() >= f.log.RangeSet()->memory_bytes());
}

void tombstone_log__its_few_sets_hold_each_once(void**) {
  Rng rng(Seed(__func__));
  Fixture f;
  assert_true(f.log.RangeSets().empty());
  Sequence seq = 0;
  while (seq < 3000) {
    for (uint64_t n = rng.OneIn(3) ? rng.Below(60) : 1; n > 0; --n) {
      const uint64_t begin = rng.Below(1000);
      f.Add(Number(begin), Number(begin + rng.Below(3)), ++seq);
    }
    const auto sets = f.log.RangeSets();
    assert_true(sets.size() <= 12);
    for (int k = 0; k < 20; ++k) {
      const std::string key = Number(rng.Below(1010));
      const Sequence at = rng.OneIn(2) ? kMaxSequence : rng.Below(seq + 2);
      Sequence best = 0;
      for (const auto& set : sets) best = std::max(best, set->MaxCovering(key, at));
      assert_int_equal(best, f.Want(key, at));
    }
    if (rng.OneIn(50)) f.log.RangeSet();
  }
}

// 100,000 of each shape, each followed by two looks: far from quadratic in time and memory.
void tombstone_log__stays_fast_where_adds_and_looks_alternate(void**) {
  constexpr uint64_t kCount = 100000;
  for (int shape = 0; shape < 3; ++shape) {
    Fixture f;
    const auto start = std::chrono::steady_clock::now();
    for (uint64_t i = 0; i < kCount; ++i) {
      const uint64_t begin = shape == 0 ? (i * 7919) % kCount : shape == 1 ? i : kCount - i;
      const uint64_t end = shape == 0 ? begin + 1 : shape == 1 ? 3 * kCount - i : kCount + i + 1;
      f.Add(Number(begin), Number(end), i + 1);
      assert_int_equal(f.log.MaxCovering(Number(begin), kMaxSequence), i + 1);
      f.log.MaxCovering(Number((i * 31) % kCount), i / 2);
      if (shape == 0) assert_true(f.log.RangeSets().size() < 20);
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf("shape %d: %.2f us per add and two looks, index %.1f MB\n", shape,
                seconds * 1e6 / kCount, static_cast<double>(f.log.index_bytes()) / 1e6);
    assert_true(f.log.index_bytes() < kCount * 600);
    assert_true(seconds < 60);
  }
}

}  // namespace
}  // namespace kist

int main() {
  using namespace kist;
  const CMUnitTest tests[] = {
      cmocka_unit_test(tombstone_log__agrees_with_a_list),
      cmocka_unit_test(tombstone_log__a_set_holds_all_of_its_moment),
      cmocka_unit_test(tombstone_log__its_few_sets_hold_each_once),
      cmocka_unit_test(tombstone_log__stays_fast_where_adds_and_looks_alternate),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
