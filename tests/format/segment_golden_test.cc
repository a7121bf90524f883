// Golden bytes of segments: prefix of both versions, slots, chain record, commit records (plain,
// with time, with Snappy). The literals were made by another implementation of record/segment.h's
// drawing, so they hold both writer and drawing. They never change: a database written by any
// release reads for ever.
#include <string>
#include <vector>

#include "record/codec.h"
#include "tests/unit/record/log_fixture.h"

using namespace kist;
using namespace kist::test;

namespace {

const char kPrefix1[] =
    "4b49535453454700010001010403020107000000000000008877665544332211"
    "1807f6e5d4c3b2a1ffff0000000000000000004000000000000000001df15bac";

const char kPrefix2[] =
    "4b49535453454700020001010403020107000000000000008877665544332211"
    "1807f6e5d4c3b2a1ffff000000000000000000400000000000000000129a0445";

// The first mark, before its checksum: generation 1, nothing but the head.
const char kSlot1[] =
    "0100000000000000000600000000000000000000000000000000000000000000"
    "0000000000000000000000000000000000000000000000000000000000000000"
    "4b49535453454700020001010403020107000000000000008877665544332211"
    "1807f6e5d4c3b2a1ffff000000000000000000400000000000000000129a0445";
const char kSlot1Crc[] = "ad46beba";

// A mark behind the last record, and the seal of a closed log.
const char kMark[] = "0200000000000000e0060000000000002c000000000000000000000000000000";
const char kMarkCrc[] = "deae53b2";
const char kSeal[] = "0300000000000000e0060000000000002c000000000000000300000000000000";
const char kSealCrc[] = "d002843a";

// Segment 7 follows segment 5 (nonce 0x99aabbccddeeff00, 4096 bytes, LSN 40) and starts at 41.
const char kChain[] =
    "cc02df5820000000290000000000000027000000000000000100000029896668"
    "050000000000000000ffeeddccbbaa9900100000000000002800000000000000";

// LSN 42, durable 40: the batch with put key = value.
const char kCommit[] =
    "f2bfab61200000002a000000000000002800000000000000020000005f9290f9"
    "4b57420101000000010000000000000003000000050000006b657976616c7565";

// LSN 43, durable 42, at 1700000000123 ms: "timed".
const char kTimed[] =
    "1a12acf8050000002b000000000000002a0000000000000002010000215f690f"
    "7b68e5cf8b01000074696d6564000000";

// LSN 44, durable 43: 100 times 'a' in Snappy.
const char kSnappy[] =
    "bcebdaf2090000002c000000000000002b0000000000000002020000d9b531f8"
    "640061fe01008a010000000000000000";

std::string Bytes(const char* hex) {
  std::string out;
  for (const char* p = hex; p[0] != 0 && p[1] != 0; p += 2) {
    out.push_back(static_cast<char>(std::stoi(std::string(p, 2), nullptr, 16)));
  }
  return out;
}

void AssertBytes(const char* what, Slice actual, const std::string& golden) {
  if (actual == golden) return;
  std::string hex;
  for (const char c : actual) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", static_cast<unsigned char>(c));
    hex += two;
  }
  fail_msg("%s: %s", what, hex.c_str());
}

std::string Slot(const char* head, const char* crc) {
  std::string s = Bytes(head);
  s.resize(64);
  s += Bytes(kPrefix2);
  s.resize(508);
  return s + Bytes(crc);
}

std::string Records() { return Bytes(kChain) + Bytes(kCommit) + Bytes(kTimed) + Bytes(kSnappy); }

const std::string kBatch("KWB\1\1\0\0\0\1\0\0\0\0\0\0\0\3\0\0\0\5\0\0\0keyvalue", 32);

SegmentWriter::Options GoldenOptions() {
  SegmentWriter::Options o;
  o.info.id = 7;
  o.info.nonce = 0x1122334455667788;
  o.info.database_id = 0xa1b2c3d4e5f60718;
  o.info.max_key_bytes = 65535;
  o.info.max_value_bytes = uint64_t{1} << 30;
  o.link.previous_id = 5;
  o.link.previous_nonce = 0x99aabbccddeeff00;
  o.link.previous_bytes = 4096;
  o.link.previous_lsn = 40;
  o.link.start_lsn = 41;
  o.durable_lsn = 39;
  return o;
}

void segment_golden__written_bytes(void**) {
  auto vfs = NewMemoryVfs();
  auto made = SegmentWriter::Create(vfs.get(), "/7.log", GoldenOptions());
  ASSERT_OK(made);
  SegmentWriter& w = **made;
  TestRecord commit(42, kBatch), timed(43, "timed", 1700000000123);
  TestRecord packed(44, std::string(100, 'a'), 0, true);
  ASSERT_OK(w.Append(commit.get(), 1, 40, false));
  ASSERT_OK(w.Append(timed.get(), 1, 42, false));
  ASSERT_OK(w.Append(packed.get(), 1, 43, false));
  std::string head = Bytes(kPrefix2);
  head.resize(512);
  head += Slot(kSlot1, kSlot1Crc);
  head.resize(1536);
  AssertBytes("segment", FileBytes(vfs.get(), "/7.log"), head + Records());
  ASSERT_OK(w.Sync());
  ASSERT_OK(w.WriteMark());
  head.replace(1024, 512, Slot(kMark, kMarkCrc));
  AssertBytes("marked", FileBytes(vfs.get(), "/7.log"), head + Records());
  ASSERT_OK(w.Seal(SealKind::kClosed));
  head.replace(512, 512, Slot(kSeal, kSealCrc));
  AssertBytes("sealed", FileBytes(vfs.get(), "/7.log"), head + Records());
}

void AssertReads(Vfs* vfs, uint16_t version) {
  auto opened = SegmentReader::Open(vfs, "/7.log", SegmentType::kLog);
  ASSERT_OK(opened);
  SegmentReader& r = **opened;
  assert_int_equal(r.info().version, version);
  assert_int_equal(r.info().id, 7);
  assert_int_equal(r.info().nonce, 0x1122334455667788);
  assert_int_equal(r.info().database_id, 0xa1b2c3d4e5f60718);
  assert_int_equal(r.info().max_key_bytes, 65535);
  assert_int_equal(r.info().max_value_bytes, 1 << 30);
  assert_int_equal(r.link().previous_id, 5);
  assert_int_equal(r.link().previous_nonce, 0x99aabbccddeeff00);
  assert_int_equal(r.link().previous_bytes, 4096);
  assert_int_equal(r.link().previous_lsn, 40);
  assert_int_equal(r.link().start_lsn, 41);
  assert_int_equal(r.link_durable_lsn(), 39);
  const Slice datas[] = {kBatch, "timed", Slice("a")};
  for (int i = 0; i < 3; ++i) {
    SegmentReader::Record record;
    auto outcome = r.Next(&record);
    ASSERT_OK(outcome);
    assert_true(*outcome == SegmentReader::Outcome::kRecord);
    assert_int_equal(record.lsn, 42 + i);
    assert_int_equal(record.durable_lsn, i == 0 ? 40 : 41 + i);
    assert_true(record.has_time == (i == 1));
    if (i == 1) assert_int_equal(record.time_ms, 1700000000123);
    if (i < 2) ASSERT_SLICE(record.data, datas[i]);
    if (i == 2) ASSERT_SLICE(record.data, std::string(100, 'a'));
  }
  std::string end;
  assert_int_equal(ReadAll(&r, &end).size(), 0);
  assert_string_equal(end.c_str(), "end");
}

void segment_golden__both_versions_read(void**) {
  auto vfs = NewMemoryVfs();
  SetFileBytes(vfs.get(), "/7.log", Bytes(kPrefix1) + Records());
  AssertReads(vfs.get(), 1);
  std::string head = Bytes(kPrefix2);
  head.resize(512);
  head += Slot(kSeal, kSealCrc) + Slot(kMark, kMarkCrc);
  SetFileBytes(vfs.get(), "/7.log", head + Records());
  AssertReads(vfs.get(), 2);
}

void segment_golden__on_disk_numbers(void**) {
  assert_int_equal(kSegmentPrefixBytes, 64);
  assert_int_equal(kSegmentSlotBytes, 512);
  assert_int_equal(kSegmentDataStart1, 64);
  assert_int_equal(kSegmentDataStart2, 1536);
  assert_int_equal(kRecordHeaderBytes, 32);
  assert_int_equal(kRecordHeaderMax, 40);
  assert_int_equal(kRecordTime, 1);
  assert_int_equal(kRecordSnappy, 2);
  assert_int_equal(SegmentType::kLog, 1);
  assert_int_equal(SegmentType::kManifest, 2);
  assert_int_equal(RecordKind::kChain, 1);
  assert_int_equal(RecordKind::kCommit, 2);
  assert_int_equal(RecordKind::kEdit, 3);
  assert_int_equal(SealKind::kSwitched, 1);
  assert_int_equal(SealKind::kRecovered, 2);
  assert_int_equal(SealKind::kClosed, 3);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(segment_golden__written_bytes),
      cmocka_unit_test(segment_golden__both_versions_read),
      cmocka_unit_test(segment_golden__on_disk_numbers),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
