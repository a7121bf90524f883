// Fixed-width coding, the Decoder on damaged input, prefixes, checks.
#include "util/coding.h"

#include <memory>

#include "support/unit_test.h"
#include "util/check.h"
#include "util/ref.h"

using namespace kist;
using kist::test::Rng;

static void coding__numbers_are_little_endian(void**) {
  char buf[8];
  Store64(buf, 0x0102030405060708);
  assert_memory_equal(buf, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
  std::string s;
  Append8(&s, 0xab);
  Append16(&s, 0x0102);
  Append32(&s, 0x01020304);
  Append64(&s, 0x0102030405060708);
  AppendBytes(&s, "key");
  assert_int_equal(s.size(), 1 + 2 + 4 + 8 + 4 + 3);
  Decoder d(s);
  assert_int_equal(d.Take8(), 0xab);
  assert_int_equal(d.Take16(), 0x0102);
  assert_int_equal(d.Take32(), 0x01020304);
  assert_int_equal(d.Take64(), 0x0102030405060708);
  ASSERT_SLICE(d.TakeBytes(), "key");
  assert_true(d.done());
}

// Whatever the input, a decoder stays inside it (AddressSanitizer watches an exact heap copy), and
// its first failure sticks.
static void coding__decoder_never_leaves_its_input(void**) {
  Rng rng(kist::test::Seed("coding"));
  for (int round = 0; round < 20000; ++round) {
    const std::string bytes = rng.Bytes(rng.Below(40), 0, rng.OneIn(2) ? 6 : 256);
    const std::unique_ptr<char[]> exact(new char[bytes.size()]);
    std::memcpy(exact.get(), bytes.data(), bytes.size());
    Decoder d(Slice(exact.get(), bytes.size()));
    bool failed = false;
    uint64_t sum = 0;
    for (int i = 0; i < 12; ++i) {
      const size_t before = d.rest().size();
      switch (rng.Below(5)) {
        case 0:
          sum += d.Take8();
          break;
        case 1:
          sum += d.Take32();
          break;
        case 2:
          sum += d.Take64();
          break;
        case 3:
          for (const char c : d.TakeBytes()) sum += static_cast<unsigned char>(c);
          break;
        default:
          for (const char c : d.Take(rng.Below(10))) sum += static_cast<unsigned char>(c);
      }
      assert_true(d.rest().size() <= before);
      assert_true(!failed || !d.ok());
      failed = !d.ok();
      if (failed) assert_int_equal(d.rest().size(), 0);
      if (failed) assert_int_equal(d.Take64(), 0);
    }
    assert_true(sum + 1 > 0);
  }
}

static void coding__prefix_orders_like_its_bytes(void**) {
  Rng rng(kist::test::Seed("coding"));
  for (int i = 0; i < 100000; ++i) {
    const std::string a = rng.Bytes(rng.Below(12), 0, 3);
    const std::string b = rng.Bytes(rng.Below(12), 0, 3);
    const uint64_t pa = Prefix64(a);
    const uint64_t pb = Prefix64(b);
    if (pa < pb) assert_true(Slice(a) < Slice(b));
    if (pa > pb) assert_true(Slice(a) > Slice(b));
    const size_t common = CommonPrefixLength(a, b);
    assert_true(a.substr(0, common) == b.substr(0, common));
    assert_true(common == a.size() || common == b.size() || a[common] != b[common]);
  }
}

static Status Checked(bool holds) {
  KIST_CHECK(holds);
  return Status();
}

static void coding__broken_invariant_is_internal_in_release(void**) {
  ASSERT_OK(Checked(true));
#ifdef NDEBUG
  const Status s = Checked(false);
  ASSERT_CODE(s, Code::kInternal);
  assert_true(s.message().find("holds") != std::string::npos);
  KIST_DCHECK(false);
#endif
}

namespace {
struct Counted {
  int refs = 1;
  int* gone;
  void Ref() { ++refs; }
  void Unref() {
    if (--refs > 0) return;
    ++*gone;
    delete this;
  }
};
}  // namespace

static void coding__ref_ptr_counts(void**) {
  int gone = 0;
  auto* object = new Counted;
  object->gone = &gone;
  {
    RefPtr<Counted> a = RefPtr<Counted>::Adopt(object);
    RefPtr<Counted> b = a;
    assert_int_equal(object->refs, 2);
    RefPtr<Counted> c = std::move(b);
    assert_false(static_cast<bool>(b));
    assert_int_equal(c->refs, 2);
    b = RefPtr<Counted>::Share(object);
    const RefPtr<Counted>& self = b;
    b = self;
    assert_int_equal(object->refs, 3);
    b.Release()->Unref();
    assert_int_equal(object->refs, 2);
  }
  assert_int_equal(gone, 1);
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(coding__numbers_are_little_endian),
      cmocka_unit_test(coding__decoder_never_leaves_its_input),
      cmocka_unit_test(coding__prefix_orders_like_its_bytes),
      cmocka_unit_test(coding__broken_invariant_is_internal_in_release),
      cmocka_unit_test(coding__ref_ptr_counts),
  };
  return cmocka_run_group_tests_name("coding", tests, nullptr, nullptr);
}
