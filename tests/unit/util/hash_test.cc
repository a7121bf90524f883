// Hash64: the values that stored filters depend on, every byte counts, bits spread.
#include "util/hash.h"

#include <unordered_set>

#include "support/unit_test.h"

using kist::Hash64;
using kist::test::Rng;

static void hash__golden_values_never_change(void**) {
  std::string bytes;
  for (int i = 0; i < 100; ++i) bytes.push_back(static_cast<char>(i * 7 + 1));
  const struct {
    size_t n;
    uint64_t hash;
  } golden[] = {
      {0, 0x758cc0e0c6d0e581},  {1, 0x4cbfa5b22bc52614},  {2, 0xa2bc02e99b683845},
      {3, 0x08469ea8cfd3bed1},  {4, 0xa5205dbb82ba02d5},  {7, 0x17c10ec4d91cdc1a},
      {8, 0x0f0fff6b0fe3643e},  {15, 0x10c3b576217d228e}, {16, 0x2c520ecba62c6177},
      {17, 0xd55ee2f32929fa50}, {31, 0xba2906be4b611c9f}, {32, 0x37862c5db8e33b73},
      {33, 0x17f72957c4c343c2}, {64, 0x29b27043023697ec}, {100, 0x12e3e170908b56ee},
  };
  for (const auto& g : golden) assert_int_equal(Hash64(bytes.data(), g.n), g.hash);
  assert_int_equal(Hash64("", 0, 1) == Hash64("", 0, 2), 0);
}

static void hash__every_bit_and_the_length_count(void**) {
  Rng rng(kist::test::Seed("hash"));
  for (size_t n = 0; n < 80; ++n) {
    std::string s = rng.Bytes(n);
    const uint64_t h = Hash64(s);
    for (size_t bit = 0; bit < n * 8; ++bit) {
      std::string t = s;
      t[bit / 8] = static_cast<char>(t[bit / 8] ^ 1 << bit % 8);
      assert_true(Hash64(t) != h);
    }
    assert_true(Hash64(s + std::string(1, '\0')) != h);
  }
}

static void hash__zero_runs_differ_by_length(void**) {
  std::unordered_set<uint64_t> seen;
  const std::string zeros(300, '\0');
  for (size_t n = 0; n <= 300; ++n) assert_true(seen.insert(Hash64(zeros.data(), n)).second);
}

static void hash__counting_keys_spread_over_high_and_low_bits(void**) {
  constexpr size_t kKeys = 1 << 16;
  constexpr size_t kBuckets = 1 << 10;
  std::vector<uint32_t> low(kBuckets), high(kBuckets);
  for (uint64_t i = 0; i < kKeys; ++i) {
    char key[17];
    std::snprintf(key, sizeof key, "%016llu", static_cast<unsigned long long>(i));
    const uint64_t h = Hash64(key, 16);
    ++low[h % kBuckets];
    ++high[h >> 54];
  }
  for (size_t b = 0; b < kBuckets; ++b) {  // mean 64, deviation 8: eight deviations
    assert_in_range(low[b], 10, 128);
    assert_in_range(high[b], 10, 128);
  }
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(hash__golden_values_never_change),
      cmocka_unit_test(hash__every_bit_and_the_length_count),
      cmocka_unit_test(hash__zero_runs_differ_by_length),
      cmocka_unit_test(hash__counting_keys_spread_over_high_and_low_bits),
  };
  return cmocka_run_group_tests_name("hash", tests, nullptr, nullptr);
}
