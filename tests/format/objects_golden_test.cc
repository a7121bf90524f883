// Golden bytes of target objects: marks, claims, what prunes remove, base
// listings, and the header of a range. The
// literals were made by another implementation of backup/objects.h's drawing, and never change: a
// backup made by any release restores for ever.
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

// Of that writer at that time: generation 3, tables 7 and 9.
const char kClaim[] =
    "4b495354434c4d0001000000000000001807f6e5d4c3b2a10300000000000000"
    "88776655443322117b68e5cf8b01000002000000070000000000000009000000"
    "000000002867a54d";
// Ranges of generation 3 below 5, table 7 of 10 bytes, checksum 01020304, upload 99.
const char kPrune[] =
    "4b49535450524e0001000000000000001807f6e5d4c3b2a18877665544332211"
    "7b68e5cf8b010000010000000100000003000000000000000500000000000000"
    "07000000000000000a00000000000000040302019900000000000000fafc8a73";

// Of that generation and writer: the state after commit 40, which is that table in level 2, and
// ranges from 5 on, 10 of them by then, up to commit 44.
const char kBase[] =
    "4b4953544241530001000000000000001807f6e5d4c3b2a10300000000000000"
    "88776655443322117b68e5cf8b01000005000000000000000a00000000000000"
    "0d0c0b0a8bcb8ad0010000002c0000000000000007000000000000000a000000"
    "00000000040302019900000000000000eb000000010800000008000000000000"
    "0002080000000900000000000000030800000028000000000000000408000000"
    "290000000000000005080000000068e5cf8b010000060400000001000000091b"
    "0000000000000000000000000000000700000064656661756c7400000000077c"
    "000000000000000207000000000000000a000000000000000100000061010000"
    "007a000000000001000000000000002800000000000000270000000000000002"
    "0000000000000000000000000000000100000000000000e86be5cf8b010000e8"
    "6be5cf8b01000086010000000000003c0f0000000000000100000000000000e6"
    "d45716";

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

void objects_golden__claims_and_prunes(void**) {
  Claim claim;
  claim.database_id = 0xa1b2c3d4e5f60718;
  claim.generation = 3;
  claim.writer = 0x1122334455667788;
  claim.time_ms = 1700000000123;
  claim.tables = {7, 9};
  ASSERT_SLICE(EncodeClaim(claim), Bytes(kClaim));
  const auto read = DecodeClaim(Bytes(kClaim), "claim");
  ASSERT_OK(read);
  assert_true(read->tables == claim.tables);
  PruneMark prune;
  prune.database_id = claim.database_id;
  prune.writer = claim.writer;
  prune.time_ms = claim.time_ms;
  prune.cuts[3] = 5;
  prune.tables.push_back({7, 10, 0x01020304, 0x99});
  ASSERT_SLICE(EncodePrune(prune), Bytes(kPrune));
  const auto mark = DecodePrune(Bytes(kPrune), "prune");
  ASSERT_OK(mark);
  assert_int_equal(mark->cuts.at(3), 5);
  assert_int_equal(mark->tables.at(0).upload, 0x99);
}

void objects_golden__base(void**) {
  const auto base = DecodeBase(Bytes(kBase), "base");
  ASSERT_OK(base);
  assert_int_equal(base->generation, 3);
  assert_int_equal(base->writer, 0x1122334455667788);
  assert_int_equal(base->time_ms, 1700000000123);
  assert_int_equal(base->first_range, 5);
  assert_int_equal(base->ranges, 10);
  assert_int_equal(base->first_crc, 0x0a0b0c0d);
  assert_int_equal(base->last_crc, 0xd08acb8b);
  assert_int_equal(base->shipped_lsn, 44);
  assert_int_equal(base->tables.at(0).upload, 0x99);
  const ManifestState& state = base->state;
  assert_int_equal(state.database_id, 0xa1b2c3d4e5f60718);
  assert_int_equal(state.log_number, 8);
  assert_int_equal(state.flushed_lsn, 40);
  assert_int_equal(state.last_lsn, 41);
  assert_int_equal(state.time_floor_ms, 1700000000000);
  const TableProperties& p = state.keyspaces.at(0).tables.at({2, 7});
  assert_int_equal(p.entries, 39);
  assert_int_equal(p.raw_value_bytes, 3900);
  ASSERT_SLICE(EncodeBase(*base), Bytes(kBase));
}

// Any other bit is refused.
void objects_golden__every_bit_counts(void**) {
  for (const char* golden : {kStart, kRange, kClaim, kPrune, kBase}) {
    const std::string good = Bytes(golden);
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
      std::string bad = good;
      bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
      if (golden == kStart) {
        assert_false(DecodeMark(bad, ObjectKind::kStart, "start").ok());
      } else if (golden == kClaim) {
        assert_false(DecodeClaim(bad, "claim").ok());
      } else if (golden == kPrune) {
        assert_false(DecodePrune(bad, "prune").ok());
      } else if (golden == kBase) {
        assert_false(DecodeBase(bad, "base").ok());
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
      cmocka_unit_test(objects_golden__claims_and_prunes),
      cmocka_unit_test(objects_golden__base),
      cmocka_unit_test(objects_golden__every_bit_counts),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
