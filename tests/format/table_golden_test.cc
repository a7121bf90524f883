// The bytes of tables of format version 1, for ever: the builder writes exactly these, and every
// later reader reads them. A change here is a change of the format (src/table/format.h) and needs
// a new version, not new golden bytes.
#include "support/unit_test.h"
#include "table/block.h"
#include "table/table.h"
#include "util/coding.h"
#include "util/epoch.h"
#include "vfs/vfs.h"

using namespace kist;
using namespace kist::test;

namespace {

// Three blocks, versions of one key over a block boundary, all kinds, range tombstones, a filter.
const char* const kPlain =
    "0bf752e458000000010000000400000000000104020200000000000081dfdffd320037003f0044005800"
    "00050506ff060000ff29010000000000046e1101656d7074796170706c657265646170706c6562616e61"
    "6e610068e5cf8b01000079656c6c6f77e87beef793000000010000000100000006000000010300000000"
    "000016150093006368657272796363636363636363636363636363636363636363636363636363636363"
    "636363636363636363636363636363636363636363636363636363636363636363636363636363636363"
    "636363636363636363636363636363636363636363636363636363636363636363636363636363636363"
    "63636363636363b119c7f3880000000100000002000000040001000101000000000000165b1a00840088"
    "000200636865727279646464646464646464646464646464646464646464646464646464646464646464"
    "646464646464646464646464646464646464646464646464646464646464646464646464646464646464"
    "6464646464646464646464646464646464646464646464646464617465c15e2546270000000200000002"
    "00000008000000000000000100000001000000626407000000000000000100000000000000786d888e27"
    "48000000030000000100000006000000000000000000000a000001010000020008000410001000081000"
    "82300004020022000000000000200002000005080010000000008000004000001800000040006ccb48a8"
    "33000000040000000300000001000000640000009f000000940000000100000007000000ffffffffffff"
    "ffff00030000000000006363686572727950eafe17210100000500000013000000010000000800000001"
    "000000000000000200000008000000181716151413121103000000080000000201000000000000040000"
    "000800000005000000000000000500000000000000060000000400000064617465070000000100000064"
    "08000000080000000100000000000000090000000800000001000000000000000a000000080000007011"
    "0100000000000b0000000800000007000000000000000c0000000800000001000000000000000d000000"
    "0800000002000000000000000e0000000800000001000000000000000f000000080000000068e5cf8b01"
    "000010000000080000000068e5cf8b010000110000000800000020000000000000001200000008000000"
    "f2000000000000001300000008000000030000000000000018171615141312110201000000000000f203"
    "000000000000970100000000000033000000ca01000000000000540000001e020000000000003f000000"
    "5d020000000000002d0100000500000000000000680000008c772e7501000000000000004b4953545442"
    "4c0a";

// One block, compressed by Snappy, without a filter.
const char* const kSnappy =
    "52966750250000000101000094010c020000000104040100090128bd66180056009400616178ea010004"
    "6162ea3d000078423829350c0000000400000001000000000000003100008033f7dee620010000050000"
    "001300000001000000080000000100000000000000020000000800000018171615141312110300000008"
    "000000020100000000000004000000080000000500000000000000050000000200000061610600000002"
    "000000616207000000000000000800000008000000000000000000000009000000080000000000000000"
    "0000000a0000000800000000000000000000000b0000000800000002000000000000000c000000080000"
    "0000000000000000000d0000000800000000000000000000000e0000000800000000000000000000000f"
    "000000080000000000000000000000100000000800000000000000000000001100000008000000040000"
    "000000000012000000080000007800000000000000130000000800000001000000000000001817161514"
    "1312110201000000000000dd010000000000003100000000000000000000003100000000000000000000"
    "0031000000000000001800000049000000000000002c010000050000000000000068000000f01057b801"
    "000000000000004b49535454424c0a";

// The same with lengths for starts, as it is written now.
const char* const kLengths =
    "68ba5781250000000102000094010c020000000104040100090128bd6618003e003e00616178ea010004"
    "6162ea3d000078423829350c0000000400000001000000000000003100008033f7dee620010000050000"
    "001300000001000000080000000100000000000000020000000800000018171615141312110300000008"
    "000000020100000000000004000000080000000500000000000000050000000200000061610600000002"
    "000000616207000000000000000800000008000000000000000000000009000000080000000000000000"
    "0000000a0000000800000000000000000000000b0000000800000002000000000000000c000000080000"
    "0000000000000000000d0000000800000000000000000000000e0000000800000000000000000000000f"
    "000000080000000000000000000000100000000800000000000000000000001100000008000000040000"
    "000000000012000000080000007800000000000000130000000800000001000000000000001817161514"
    "1312110201000000000000dd010000000000003100000000000000000000003100000000000000000000"
    "0031000000000000001800000049000000000000002c010000050000000000000068000000f01057b801"
    "000000000000004b49535454424c0a";

std::string FromHex(const char* hex) {
  std::string bytes;
  for (; *hex != 0; hex += 2) {
    const char pair[] = {hex[0], hex[1], 0};
    bytes.push_back(static_cast<char>(std::strtoul(pair, nullptr, 16)));
  }
  return bytes;
}

std::string ToHex(Slice bytes) {
  std::string hex;
  for (char c : bytes) {
    char pair[3];
    std::snprintf(pair, sizeof pair, "%02x", static_cast<unsigned char>(c));
    hex += pair;
  }
  return hex;
}

struct Entry {
  std::string key;
  uint64_t tag;
  std::string value;
};

std::vector<Entry> PlainEntries() {
  std::string expiring;
  Append64(&expiring, 1700000000000);
  return {{"", MakeTag(9, EntryKind::kPut), "empty"},
          {"apple", MakeTag(300, EntryKind::kPut), "red"},
          {"apple", MakeTag(2, EntryKind::kDelete), ""},
          {"banana", MakeTag(70000, EntryKind::kPutTtl), expiring + "yellow"},
          {"cherry", MakeTag(3, EntryKind::kPut), std::string(120, 'c')},
          {"cherry", MakeTag(1, EntryKind::kPut), std::string(100, 'd')},
          {"date", MakeTag(1, EntryKind::kPut), ""}};
}

std::vector<Entry> SnappyEntries() {
  return {{"aa", MakeTag(0, EntryKind::kPut), std::string(60, 'x')},
          {"ab", MakeTag(0, EntryKind::kPut), std::string(60, 'x')}};
}

RefPtr<Table> Read(Vfs* vfs, const std::string& bytes) {
  auto file = vfs->Open("/golden", OpenMode::kCreateOrTruncate);
  ASSERT_OK(file);
  ASSERT_OK((*file)->Write(0, bytes));
  Table::OpenOptions options;
  options.table_id = 0x0102;
  options.database_id = 0x1112131415161718;
  options.file_bytes = bytes.size();
  auto table = Table::Open(file.Take(), "/golden", options);
  ASSERT_OK(table);
  return table.Take();
}

void CheckHolds(Table* table, const std::vector<Entry>& entries) {
  auto it = table->NewIterator(ReadContext());
  it->SeekToFirst();
  Epoch epoch;
  for (const Entry& e : entries) {
    assert_true(it->valid());
    ASSERT_SLICE(it->key(), e.key);
    ASSERT_SLICE(it->value(), e.value);
    assert_true(it->tag() == e.tag);
    Epoch::Guard guard(epoch);
    TableFound found;
    ASSERT_OK(table->Get(e.key, HashKey(e.key), TagSequence(e.tag), ReadContext(), &found));
    assert_true(found.found && found.tag == e.tag && found.value == e.value);
    it->Next();
  }
  assert_false(it->valid());
  ASSERT_OK(it->status());
  ASSERT_OK(table->Verify([](uint64_t) { return Status(); }));
}

void table_golden__builder_writes_these_bytes(void**) {
  auto vfs = NewMemoryVfs();
  auto file = vfs->Open("/t", OpenMode::kCreateOrTruncate);
  ASSERT_OK(file);
  TableOptions options;
  options.table_id = 0x0102;
  options.database_id = 0x1112131415161718;
  options.keyspace = 5;
  options.block_bytes = 176 + Block::MemoryBytes(0);  // a block's object in memory counts too
  options.filter_bits = 10;
  options.compression = Compression::kNone;
  TableBuilder builder(options, file->get(), "/t");
  ASSERT_OK(builder.AddRangeTombstone({"b", "d", 8}));
  ASSERT_OK(builder.AddRangeTombstone({"x", "", 7}));
  for (const Entry& e : PlainEntries()) ASSERT_OK(builder.Add(e.key, e.tag, e.value));
  TableProperties properties;
  ASSERT_OK(builder.Finish(&properties));
  auto bytes = ReadFile(vfs.get(), "/t");
  ASSERT_OK(bytes);
  ASSERT_SLICE(ToHex(*bytes), kPlain);
}

void table_golden__plain_is_read(void**) {
  auto vfs = NewMemoryVfs();
  RefPtr<Table> table = Read(vfs.get(), FromHex(kPlain));
  CheckHolds(table.get(), PlainEntries());
  assert_int_equal(table->identity().keyspace, 5);
  assert_int_equal(table->properties().data_blocks, 3);
  assert_int_equal(table->properties().earliest_expiry_ms, 1700000000000);
  assert_int_equal(table->range_tombstones()->MaxCovering("c", kMaxSequence), 8);
  assert_int_equal(table->range_tombstones()->MaxCovering("y", kMaxSequence), 7);
  assert_false(table->MayContain(HashKey("absent")));
}

void table_golden__snappy_is_read(void**) {
  auto vfs = NewMemoryVfs();
  RefPtr<Table> table = Read(vfs.get(), FromHex(kSnappy));
  CheckHolds(table.get(), SnappyEntries());
}

void table_golden__lengths_are_written_and_read(void**) {
  auto vfs = NewMemoryVfs();
  auto file = vfs->Open("/t", OpenMode::kCreateOrTruncate);
  ASSERT_OK(file);
  TableOptions options;
  options.table_id = 0x0102;
  options.database_id = 0x1112131415161718;
  options.keyspace = 5;
  options.filter_bits = 0;
  options.compression = Compression::kSnappy;
  TableBuilder builder(options, file->get(), "/t");
  for (const Entry& e : SnappyEntries()) ASSERT_OK(builder.Add(e.key, e.tag, e.value));
  TableProperties properties;
  ASSERT_OK(builder.Finish(&properties));
  auto bytes = ReadFile(vfs.get(), "/t");
  ASSERT_OK(bytes);
  ASSERT_SLICE(ToHex(*bytes), kLengths);
  RefPtr<Table> table = Read(vfs.get(), FromHex(kLengths));
  CheckHolds(table.get(), SnappyEntries());
}

void table_golden__key_hash_stays(void**) {
  assert_true(HashKey("") == 0x758cc0e0c6d0e581);
  assert_true(HashKey("apple") == 0x441f03add36d3ddf);
  assert_true(HashKey("a key of more than sixteen bytes") == 0x8dd8b9dd5837beb2);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(table_golden__builder_writes_these_bytes),
      cmocka_unit_test(table_golden__plain_is_read),
      cmocka_unit_test(table_golden__lengths_are_written_and_read),
      cmocka_unit_test(table_golden__snappy_is_read),
      cmocka_unit_test(table_golden__key_hash_stays),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
