// Filters: no false negative ever, and as few false positives as the header says.
#include "table/filter.h"

#include "table_testing.h"

using namespace kist;
using namespace kist::test;

namespace {

void MakeFilter(uint32_t bits, uint64_t keys, Filter* filter) {
  FilterBuilder builder(bits);
  for (uint64_t i = 0; i < keys; ++i) {
    assert_true(builder.Add(HashKey("present" + std::to_string(i))));
  }
  GrowBuffer out;
  assert_true(builder.Finish(&out));
  assert_int_equal(out.size(), builder.size());
  bool no_memory;
  const char* reason = filter->Load(out.slice(), &no_memory);
  if (reason != nullptr) fail_msg("%s", reason);
}

double FalsePositives(uint32_t bits, uint64_t keys) {
  Filter filter;
  MakeFilter(bits, keys, &filter);
  for (uint64_t i = 0; i < keys; ++i) {
    assert_true(filter.MayContain(HashKey("present" + std::to_string(i))));
  }
  uint64_t wrong = 0;
  const uint64_t probes = 400000;
  for (uint64_t i = 0; i < probes; ++i) {
    wrong += filter.MayContain(HashKey("absent" + std::to_string(i))) ? 1 : 0;
  }
  return static_cast<double>(wrong) / static_cast<double>(probes);
}

void filter__true_negative_rates_hold(void**) {
  for (uint64_t keys : {10000, 200000}) {
    assert_true(FalsePositives(20, keys) < 0.0005);
    assert_true(FalsePositives(16, keys) < 0.001);
    assert_true(FalsePositives(10, keys) < 0.0105);
    assert_true(FalsePositives(8, keys) < 0.025);
    assert_true(FalsePositives(4, keys) < 0.16);
    assert_true(FalsePositives(1, keys) < 0.70);
  }
}

void filter__knows_every_key_at_all_sizes(void**) {
  for (uint32_t bits = 1; bits <= kFilterBitsMax; ++bits) {
    for (uint64_t keys : {1, 2, 51, 52, 1000}) {
      Filter filter;
      MakeFilter(bits, keys, &filter);
      for (uint64_t i = 0; i < keys; ++i) {
        assert_true(filter.MayContain(HashKey("present" + std::to_string(i))));
      }
      assert_true(filter.memory_bytes() <= (keys * bits / 512 + 1) * 64);
    }
  }
}

void filter__absent_one_may_contain_all(void**) {
  FilterBuilder none(0);
  assert_true(none.Add(1));
  GrowBuffer out;
  assert_true(none.Finish(&out));
  assert_int_equal(out.size(), 0);
  Filter filter;
  assert_false(filter.present());
  assert_true(filter.MayContain(12345));
}

void filter__refuses_bytes_that_are_none(void**) {
  FilterBuilder builder(10);
  for (uint64_t i = 0; i < 200; ++i) assert_true(builder.Add(HashKey(std::to_string(i))));
  GrowBuffer out;
  assert_true(builder.Finish(&out));
  const std::string good(out.slice());
  bool no_memory;
  for (size_t n = 0; n < good.size(); ++n) {
    Filter filter;
    assert_non_null(filter.Load(Slice(good.data(), n), &no_memory));
  }
  for (size_t at : {0, 1, 2, 3, 5, 6, 7}) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] + 1);
    Filter filter;
    assert_non_null(filter.Load(bad, &no_memory));
  }
  for (int probes : {0, 15, 255}) {
    std::string bad = good;
    bad[4] = static_cast<char>(probes);
    Filter filter;
    assert_non_null(filter.Load(bad, &no_memory));
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(filter__true_negative_rates_hold),
      cmocka_unit_test(filter__knows_every_key_at_all_sizes),
      cmocka_unit_test(filter__absent_one_may_contain_all),
      cmocka_unit_test(filter__refuses_bytes_that_are_none),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
