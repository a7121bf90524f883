// SHA-256 against the examples of FIPS 180-4 and of others, and itself in pieces.
#include "util/sha256.h"

#include "support/unit_test.h"

namespace kist::test {
namespace {

void sha256__known_values(void**) {
  ASSERT_SLICE(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  ASSERT_SLICE(Sha256Hex("abc"),
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  ASSERT_SLICE(Sha256Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
               "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  ASSERT_SLICE(Sha256Hex(std::string(1000000, 'a')),
               "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  // Every length around a block's end, digest over digests; by another implementation.
  Sha256 all;
  for (size_t n = 0; n < 200; ++n) all.Add(Sha256Hex(std::string(n, 'x')));
  ASSERT_SLICE(all.FinishHex(), "f61ffcc417e1f0e59eba2da7fa32fbe05b64e478b68c6bacf990455f00248b98");
}

void sha256__pieces_are_the_whole(void**) {
  Rng rng(Seed("pieces"));
  const std::string text = rng.Bytes(5000);
  const std::string whole = Sha256Hex(text);
  for (int i = 0; i < 100; ++i) {
    Sha256 hash;
    for (size_t at = 0; at < text.size();) {
      const size_t n = std::min<size_t>(rng.Below(200), text.size() - at);
      hash.Add(text.data() + at, n);
      at += n;
    }
    ASSERT_SLICE(hash.FinishHex(), whole);
  }
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(sha256__known_values),
      cmocka_unit_test(sha256__pieces_are_the_whole),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
