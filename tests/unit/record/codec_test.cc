// What is refused although its checksum holds: prefixes, slots and links with fields that cannot
// be.
#include "record/codec.h"

#include <functional>
#include <set>

#include "tests/unit/record/log_fixture.h"

using namespace kist;
using namespace kist::test;
using codec::PrefixVerdict;

namespace {

using Bytes = std::string;

Bytes Prefix(const SegmentInfo& info) {
  Bytes b(kSegmentPrefixBytes, '\0');
  codec::EncodePrefix(info, b.data());
  return b;
}

// The prefix with one change under a checksum that fits.
PrefixVerdict Verdict(const std::function<void(char*)>& change) {
  Bytes b = Prefix(OptionsFor(5).info);
  change(b.data());
  Store32(&b[60], crc32c::Value(b.data(), 60));
  SegmentInfo info;
  return codec::DecodePrefix(b, &info);
}

void codec__prefix_fields_that_cannot_be(void**) {
  assert_true(Verdict([](char*) {}) == PrefixVerdict::kOk);
  assert_true(Verdict([](char* p) { Store16(p + 8, 0); }) == PrefixVerdict::kBadField);
  assert_true(Verdict([](char* p) { p[10] = 0; }) == PrefixVerdict::kBadField);
  assert_true(Verdict([](char* p) { p[10] = 3; }) == PrefixVerdict::kBadField);
  assert_true(Verdict([](char* p) { p[11] = 2; }) == PrefixVerdict::kBadField);
  assert_true(Verdict([](char* p) { Store32(p + 12, 0x02010304); }) == PrefixVerdict::kBadField);
  assert_true(Verdict([](char* p) { Store64(p + 24, 0); }) == PrefixVerdict::kBadField);
  assert_true(Verdict([](char* p) { Store16(p + 8, 3); }) == PrefixVerdict::kTooNew);
  assert_true(Verdict([](char* p) { Store32(p + 12, 0x04030201); }) == PrefixVerdict::kForeign);
  assert_true(Verdict([](char* p) { p[0] = 'k'; }) == PrefixVerdict::kBadMagic);
}

void codec__each_verdict_says_something_else(void**) {
  std::set<std::string> texts;
  for (const PrefixVerdict v : {PrefixVerdict::kOk, PrefixVerdict::kZeros, PrefixVerdict::kForeign,
                                PrefixVerdict::kBadMagic, PrefixVerdict::kBadChecksum,
                                PrefixVerdict::kTooNew, PrefixVerdict::kBadField}) {
    assert_true(texts.insert(codec::PrefixText(v)).second);
  }
  assert_int_equal(texts.count(""), 0);
}

void codec__slot_fields_that_cannot_be(void**) {
  const auto decodes = [](const std::function<void(codec::Slot*, char*)>& change) {
    codec::Slot slot;
    slot.generation = 1;
    slot.valid_data_end = kSegmentDataStart2;
    slot.info = OptionsFor(5).info;
    Bytes b(kSegmentSlotBytes, '\0');
    change(&slot, nullptr);
    codec::EncodeSlot(slot, b.data());
    change(&slot, b.data());
    Store32(&b[kSegmentSlotBytes - 4], crc32c::Value(b.data(), kSegmentSlotBytes - 4));
    codec::Slot out;
    return codec::DecodeSlot(b, &out);
  };
  using codec::Slot;
  assert_true(decodes([](Slot*, char*) {}));
  assert_false(decodes([](Slot* s, char*) { s->generation = 0; }));
  assert_false(decodes([](Slot* s, char*) { s->valid_data_end = kSegmentDataStart2 - 8; }));
  assert_false(decodes([](Slot* s, char*) { s->valid_data_end = kSegmentDataStart2 + 4; }));
  assert_false(decodes([](Slot* s, char*) { s->info.version = 1; }));
  assert_false(decodes([](Slot*, char* b) {
    if (b != nullptr) b[24] = 4;  // a seal of no kind
  }));
  assert_false(decodes([](Slot*, char* b) {
    if (b != nullptr) b[64] ^= 1;  // the copy of the prefix
  }));
}

void codec__links_that_cannot_be(void**) {
  SegmentLink link;
  link.previous_id = 3;
  link.previous_bytes = 80;
  link.previous_lsn = 17;
  char b[codec::kLinkBytes];
  SegmentLink out;
  codec::EncodeLink(link, b);
  assert_true(codec::DecodeLink(Slice(b, sizeof b), 17, &out));
  assert_int_equal(out.previous_lsn, 17);
  assert_int_equal(out.start_lsn, 17);
  assert_false(codec::DecodeLink(Slice(b, sizeof b - 1), 17, &out));
  assert_false(codec::DecodeLink(Slice(b, sizeof b), 16, &out));  // begins before its predecessor
  link.previous_bytes = 81;
  codec::EncodeLink(link, b);
  assert_false(codec::DecodeLink(Slice(b, sizeof b), 17, &out));
}

void codec__zeros_of_every_length(void**) {
  for (size_t n = 0; n < 200; ++n) {
    Bytes b(n, '\0');
    assert_true(codec::AllZero(b.data(), n));
    for (size_t i = 0; i < n; ++i) {
      b[i] = 1;
      assert_false(codec::AllZero(b.data(), n));
      b[i] = 0;
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(codec__prefix_fields_that_cannot_be),
      cmocka_unit_test(codec__each_verdict_says_something_else),
      cmocka_unit_test(codec__slot_fields_that_cannot_be),
      cmocka_unit_test(codec__links_that_cannot_be),
      cmocka_unit_test(codec__zeros_of_every_length),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
