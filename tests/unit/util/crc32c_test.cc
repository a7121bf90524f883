// CRC32C: published values, every kernel against a bit-wise reference, splitting.
#include "util/crc32c.h"

#include <chrono>

#include "support/unit_test.h"

namespace crc32c = kist::crc32c;
using kist::test::Rng;

static uint32_t Reference(uint32_t crc, const std::string& s) {
  crc = ~crc;
  for (unsigned char c : s) {
    crc ^= c;
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
  }
  return ~crc;
}

static void crc32c__published_values(void**) {
  assert_int_equal(crc32c::Value("", 0), 0);
  assert_int_equal(crc32c::Value("123456789", 9), 0xe3069283);
  std::string s(32, '\0');
  assert_int_equal(crc32c::Value(s), 0x8a9136aa);
  s.assign(32, '\xff');
  assert_int_equal(crc32c::Value(s), 0x62a8ab43);
  for (int i = 0; i < 32; ++i) s[i] = static_cast<char>(i);
  assert_int_equal(crc32c::Value(s), 0x46dd794e);
  for (int i = 0; i < 32; ++i) s[i] = static_cast<char>(31 - i);
  assert_int_equal(crc32c::Value(s), 0x113fdb5c);
}

static void crc32c__kernels_agree_at_every_length_and_offset(void**) {
  Rng rng(kist::test::Seed("crc32c"));
  const std::string bytes = rng.Bytes(20000);
  const char* kernels[] = {"table", "sse4.2", "sse4.2+pclmul", "armv8"};
  int ran = 0;
  for (const char* kernel : kernels) {
    uint32_t probe = 0;
    if (!crc32c::ExtendWith(kernel, &probe, "", 0)) continue;
    ++ran;
    for (size_t n = 0; n < 1100; ++n) {
      const size_t at = n % 17;
      uint32_t crc = static_cast<uint32_t>(n * 2654435761u);
      const uint32_t want = Reference(crc, bytes.substr(at, n));
      crc32c::ExtendWith(kernel, &crc, bytes.data() + at, n);
      assert_int_equal(crc, want);
    }
    for (int i = 0; i < 200; ++i) {
      const size_t n = rng.Below(16000);
      const size_t at = rng.Below(4000);
      uint32_t crc = 0;
      crc32c::ExtendWith(kernel, &crc, bytes.data() + at, n);
      assert_int_equal(crc, Reference(0, bytes.substr(at, n)));
    }
  }
  assert_true(ran >= 1);
  uint32_t crc = 0;
  assert_true(crc32c::ExtendWith(crc32c::KernelName(), &crc, "123456789", 9));
  assert_int_equal(crc, 0xe3069283);
  assert_false(crc32c::ExtendWith("none", &crc, "", 0));
}

static void crc32c__extend_of_parts_is_value_of_whole(void**) {
  Rng rng(kist::test::Seed("crc32c"));
  const std::string bytes = rng.Bytes(9000);
  for (int i = 0; i < 500; ++i) {
    const size_t n = rng.Below(bytes.size());
    const size_t cut = n == 0 ? 0 : rng.Below(n + 1);
    const uint32_t first = crc32c::Value(bytes.data(), cut);
    assert_int_equal(crc32c::Extend(first, bytes.data() + cut, n - cut),
                     crc32c::Value(bytes.data(), n));
  }
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(crc32c__published_values),
      cmocka_unit_test(crc32c__kernels_agree_at_every_length_and_offset),
      cmocka_unit_test(crc32c__extend_of_parts_is_value_of_whole),
  };
  return cmocka_run_group_tests_name("crc32c", tests, nullptr, nullptr);
}
