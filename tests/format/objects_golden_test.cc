// Golden bytes of target objects: marks and the header of a range. The literals were made by
// another implementation of backup/objects.h's drawing, and never change: a backup made by any
// release restores for ever.
#include <string>

#include "backup/objects.h"
#include "tests/support/unit_test.h"

using namespace kist;
using namespace kist::test;

namespace {

// Database a1b2c3d4e5f60718.
const char kRoot[] =
    "4b4953544d524b0001000000000000001807f6e5d4c3b2a10000000000000000"
    "00000000000000000000000000000000000000000000000000000000fbeb89cd";
// Generation 3, begun by writer 1122334455667788 at 1700000000123 ms.
const char kStart[] =
    "4b4953544d524b0001000000020000001807f6e5d4c3b2a10300000000000000"
    "88776655443322117b68e5cf8b010000000000000000000000000000beb832cc";
// Range 9 of it: 32 bytes from position 224 of segment 7, commits up to 44.
const char kRange[] =
    "4b495354524e470001000000000000001807f6e5d4c3b2a10300000000000000"
    "09000000000000004b4953545345470002000101040302010700000000000000"
    "88776655443322111807f6e5d4c3b2a1ffff0000000000000000004000000000"
    "00000000129a0445e00000000000000020000000000000002c00000000000000"
    "03000000000000007b68e5cf8b010000c869e5cf8b010000156be5cf8b010000"
    "04030201823cf017000000008bcb8ad0";

std::string Bytes(const char* hex) {
  std::string out;
  for (const char* p = hex; p[0] != 0 && p[1] != 0; p += 2)
    out.push_back(static_cast<char>(std::stoi(std::string(p, 2), nullptr, 16)));
  return out;
}

void objects_golden__marks(void**) {
  Mark mark;
  mark.database_id = 0xa1b2c3d4e5f60718;
  ASSERT_SLICE(EncodeMark(mark), Bytes(kRoot));
  ASSERT_OK(DecodeMark(Bytes(kRoot), ObjectKind::kRoot, "root"));
  mark.kind = ObjectKind::kStart;
  mark.generation = 3;
  mark.writer = 0x1122334455667788;
  mark.time_ms = 1700000000123;
  ASSERT_SLICE(EncodeMark(mark), Bytes(kStart));
  const auto read = DecodeMark(Bytes(kStart), ObjectKind::kStart, "start");
  ASSERT_OK(read);
  assert_int_equal(read->database_id, mark.database_id);
  assert_int_equal(read->generation, 3);
  assert_int_equal(read->writer, mark.writer);
  assert_int_equal(read->time_ms, mark.time_ms);
  ASSERT_CODE(DecodeMark(Bytes(kStart), ObjectKind::kRoot, "start"), Code::kCorrupt);
}

void objects_golden__range(void**) {
  auto h = DecodeRangeHeader(Bytes(kRange), "range");
  ASSERT_OK(h);
  assert_int_equal(h->database_id, 0xa1b2c3d4e5f60718);
  assert_int_equal(h->generation, 3);
  assert_int_equal(h->index, 9);
  assert_int_equal(h->segment.id, 7);
  assert_int_equal(h->segment.nonce, 0x1122334455667788);
  assert_int_equal(h->position, 224);
  assert_int_equal(h->payload_bytes, 32);
  assert_int_equal(h->last_lsn, 44);
  assert_int_equal(h->commits, 3);
  assert_int_equal(h->first_time_ms, 1700000000123);
  assert_int_equal(h->last_time_ms, 1700000000456);
  assert_int_equal(h->previous_crc, 0x01020304);
  assert_int_equal(h->payload_crc, 0x17f03c82);
  assert_int_equal(h->crc, 0xd08acb8b);
  ASSERT_SLICE(EncodeRangeHeader(&*h), Bytes(kRange));
}

// Any other bit is refused.
void objects_golden__every_bit_counts(void**) {
  for (const char* golden : {kStart, kRange}) {
    const std::string good = Bytes(golden);
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
      std::string bad = good;
      bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
      if (golden == kStart) {
        assert_false(DecodeMark(bad, ObjectKind::kStart, "start").ok());
      } else {
        assert_false(DecodeRangeHeader(bad, "range").ok());
      }
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(objects_golden__marks),
      cmocka_unit_test(objects_golden__range),
      cmocka_unit_test(objects_golden__every_bit_counts),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
