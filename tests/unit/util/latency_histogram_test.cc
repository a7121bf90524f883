// The histogram against sorted values: buckets cover every number without a gap, quantiles are at
// most an eighth above the true ones, several threads lose nothing.
#include "util/latency_histogram.h"

#include <algorithm>
#include <memory>
#include <thread>
#include <vector>

#include "support/unit_test.h"

using kist::LatencyHistogram;

namespace {

void latency_histogram__buckets_follow_one_another(void**) {
  uint64_t low = 0;
  for (size_t i = 0; i < LatencyHistogram::kBuckets; ++i) {
    const uint64_t high = LatencyHistogram::UpperBound(i);
    assert_true(high >= low);
    assert_int_equal(LatencyHistogram::BucketOf(low), i);
    assert_int_equal(LatencyHistogram::BucketOf(high), i);
    assert_true(high - low <= high / 8);
    low = high + 1;
  }
  assert_int_equal(low, uint64_t{1} << (LatencyHistogram::kTopBit + 1));
}

void latency_histogram__quantiles_are_close(void**) {
  kist::test::Rng rng(kist::test::Seed("latency_histogram__quantiles_are_close"));
  auto histogram = std::make_unique<LatencyHistogram>();
  auto summary = std::make_unique<LatencyHistogram::Summary>();
  std::vector<uint64_t> values;
  for (int i = 0; i < 20000; ++i) {
    values.push_back(rng.Below(uint64_t{1} << rng.Below(36)) + 1);
    histogram->Add(values.back(), 1, static_cast<unsigned>(i));
  }
  std::sort(values.begin(), values.end());
  histogram->Read(summary.get());
  assert_int_equal(summary->count, values.size());
  assert_int_equal(summary->max_ns, values.back());
  for (uint64_t permille : {1, 10, 500, 900, 990, 999, 1000}) {
    const uint64_t truth = values[(values.size() * permille + 999) / 1000 - 1];
    const uint64_t told = summary->Quantile(permille);
    assert_true(told >= truth && told <= truth + truth / 8);
  }
  for (int bit = 0; bit < 36; ++bit) {
    const auto at = std::lower_bound(values.begin(), values.end(), uint64_t{1} << bit);
    assert_int_equal(summary->Below(bit), at - values.begin());
  }
}

void latency_histogram__weights_and_ends(void**) {
  auto histogram = std::make_unique<LatencyHistogram>();
  auto summary = std::make_unique<LatencyHistogram::Summary>();
  histogram->Read(summary.get());
  assert_int_equal(summary->Quantile(500), 0);
  histogram->Add(0, 64, 0);
  histogram->Add(100, 64, 1);
  histogram->Add(UINT64_MAX, 1, 2);
  histogram->Read(summary.get());
  assert_int_equal(summary->count, 129);
  assert_int_equal(summary->Quantile(100), 0);
  assert_true(summary->Quantile(990) >= 100 && summary->Quantile(990) <= 112);
  assert_int_equal(summary->Quantile(1000), (uint64_t{2} << LatencyHistogram::kTopBit) - 1);
}

void latency_histogram__threads_lose_nothing(void**) {
  auto histogram = std::make_unique<LatencyHistogram>();
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t i = 0; i < 20000; ++i) histogram->Add(i % 100, 1, t / 2);
    });
  }
  for (std::thread& t : threads) t.join();
  auto summary = std::make_unique<LatencyHistogram::Summary>();
  histogram->Read(summary.get());
  assert_int_equal(summary->count, 80000);
  assert_int_equal(summary->sum_ns, 80000 / 100 * 4950);
  assert_int_equal(summary->max_ns, 99);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(latency_histogram__buckets_follow_one_another),
      cmocka_unit_test(latency_histogram__quantiles_are_close),
      cmocka_unit_test(latency_histogram__weights_and_ends),
      cmocka_unit_test(latency_histogram__threads_lose_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
