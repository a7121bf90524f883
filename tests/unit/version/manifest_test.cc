// Edits, manifests and CURRENT: round trips, golden bytes, refusals, every byte damaged.
#include "version/manifest.h"

#include "key/file_name.h"
#include "support/unit_test.h"

namespace kist::test {
namespace {

constexpr char kDir[] = "/m";

Edit Full() {
  Edit e;
  e.log_number = 7;
  e.next_file = 12;
  e.flushed_lsn = 100;
  e.last_lsn = 120;
  e.time_floor_ms = 1700000000000;
  e.next_keyspace = 3;
  e.keyspaces.push_back({1, 50, "one", "compression=none"});
  e.keyspaces.push_back({2, 60, "two", ""});
  NewTable t;
  t.keyspace = 1;
  t.level = 5;
  t.number = 9;
  t.properties.file_bytes = 1234;
  t.properties.smallest_key = std::string("a\0b", 3);
  t.properties.largest_key = "z";
  t.properties.tombstone_end = "zz";
  t.properties.range_tombstones = 2;
  t.properties.entries = 77;
  t.properties.largest_seq = 99;
  e.added.push_back(t);
  return e;
}

std::string Hex(const std::string& bytes) {
  std::string out;
  char buf[3];
  for (char c : bytes) {
    std::snprintf(buf, sizeof buf, "%02x", static_cast<unsigned char>(c));
    out += buf;
  }
  return out;
}

void manifest__edit_round_trip(void**) {
  const std::string bytes = EncodeEdit(Full());
  auto back = DecodeEdit(bytes);
  ASSERT_OK(back);
  ASSERT_SLICE(EncodeEdit(*back), bytes);
  assert_int_equal(back->added[0].properties.entries, 77);
  assert_int_equal(back->added[0].properties.smallest_key.size(), 3);
}

void manifest__edit_golden_bytes(void**) {
  Edit e;
  e.log_number = 7;
  e.dropped.push_back(5);
  e.removed.push_back({1, 6, 300});
  ASSERT_SLICE(Hex(EncodeEdit(e)),
               "0108000000"
               "0700000000000000"
               "080d000000"
               "01000000"
               "06"
               "2c01000000000000"
               "0a04000000"
               "05000000");
}

void manifest__edit_unknown_tags(void**) {
  const std::string must("\x0c\0\0\0\0", 5), may("\x80\x01\0\0\0x", 6);
  ASSERT_CODE(DecodeEdit(must), Code::kTooNew);
  ASSERT_OK(DecodeEdit(may));
}

void manifest__edit_every_cut_is_refused_or_shorter(void**) {
  const std::string bytes = EncodeEdit(Full());
  for (size_t n = 0; n < bytes.size(); ++n) {
    auto cut = DecodeEdit(Slice(bytes).substr(0, n));
    if (cut.ok()) assert_true(EncodeEdit(*cut).size() == n);  // at a field's end
  }
}

void manifest__current_golden_bytes(void**) {
  const std::string bytes = EncodeCurrent({0x1122334455667788, 15});
  assert_int_equal(bytes.size(), kCurrentBytes);
  ASSERT_SLICE(Hex(bytes).substr(0, 72),
               "4b49535443555200"
               "0100"
               "0000"
               "00000000"
               "8877665544332211"
               "0f00000000000000"
               "00000000");
  auto back = DecodeCurrent(bytes, "CURRENT");
  ASSERT_OK(back);
  assert_int_equal(back->manifest_number, 15);
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string bad = bytes;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    assert_false(DecodeCurrent(bad, "CURRENT").ok());
  }
  ASSERT_CODE(DecodeCurrent(bytes.substr(1), "CURRENT"), Code::kCorrupt);
}

ManifestState Written(Vfs* vfs) {
  ManifestState state;
  state.database_id = 42;
  Edit first;
  first.keyspaces.push_back({0, 0, "default", ""});
  ASSERT_OK(state.Apply(first));
  auto m = Manifest::Create(vfs, kDir, 3, &state);
  ASSERT_OK(m);
  ASSERT_OK(state.Apply(Full()));
  ASSERT_OK((*m)->Append(Full()));
  Edit last;
  last.dropped.push_back(2);
  ASSERT_OK(state.Apply(last));
  ASSERT_OK((*m)->Append(last));
  return state;
}

void manifest__round_trip(void**) {
  auto vfs = NewMemoryVfs();
  ASSERT_OK(vfs->MakeDir(kDir));
  const ManifestState state = Written(vfs.get());
  auto back = ReadManifest(vfs.get(), kDir);
  ASSERT_OK(back);
  ASSERT_SLICE(EncodeEdit(back->Snapshot()), EncodeEdit(state.Snapshot()));
  assert_int_equal(back->manifest_number, 3);
  assert_int_equal(back->database_id, 42);
}

void manifest__contradictions_are_refused(void**) {
  ManifestState state;
  Edit e;
  e.keyspaces.push_back({1, 1, "x", ""});
  ASSERT_OK(state.Apply(e));
  ASSERT_CODE(state.Apply(e), Code::kCorrupt);
  Edit removes;
  removes.removed.push_back({1, 0, 5});
  ASSERT_CODE(state.Apply(removes), Code::kCorrupt);
  Edit drops;
  drops.dropped.push_back(9);
  ASSERT_CODE(state.Apply(drops), Code::kCorrupt);
}

// A flipped byte gives the whole state, an earlier one where only the tail was hit, or corruption:
// never another state.
void manifest__every_byte_flipped(void**) {
  auto vfs = NewMemoryVfs();
  ASSERT_OK(vfs->MakeDir(kDir));
  const ManifestState state = Written(vfs.get());
  const std::string path = JoinPath(kDir, ManifestFileName(3));
  auto bytes = ReadFile(vfs.get(), path);
  ASSERT_OK(bytes);
  const std::string whole = EncodeEdit(state.Snapshot());
  int refused = 0;
  for (size_t i = 0; i < bytes->size(); ++i) {
    auto file = vfs->Open(path, OpenMode::kReadWrite);
    ASSERT_OK(file);
    const std::string flipped(1, static_cast<char>((*bytes)[i] ^ 0x40));
    ASSERT_OK((*file)->Write(i, flipped));
    auto back = ReadManifest(vfs.get(), kDir);
    if (!back.ok()) {
      ++refused;
    } else if (EncodeEdit(back->Snapshot()) != whole) {
      // Only the last edit may be missing: nothing after it says that it was durable.
      assert_int_equal(back->keyspaces.size(), 3);
      assert_int_equal(back->log_number, 7);
    }
    ASSERT_OK((*file)->Write(i, Slice(*bytes).substr(i, 1)));
  }
  assert_true(refused > 100);
}

void manifest__missing_files_are_named(void**) {
  auto vfs = NewMemoryVfs();
  ASSERT_OK(vfs->MakeDir(kDir));
  ASSERT_CODE(ReadManifest(vfs.get(), kDir), Code::kMissing);
  Written(vfs.get());
  ASSERT_OK(vfs->Remove(JoinPath(kDir, ManifestFileName(3))));
  ASSERT_CODE(ReadManifest(vfs.get(), kDir), Code::kCorrupt);
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(manifest__edit_round_trip),
      cmocka_unit_test(manifest__edit_golden_bytes),
      cmocka_unit_test(manifest__edit_unknown_tags),
      cmocka_unit_test(manifest__edit_every_cut_is_refused_or_shorter),
      cmocka_unit_test(manifest__current_golden_bytes),
      cmocka_unit_test(manifest__round_trip),
      cmocka_unit_test(manifest__contradictions_are_refused),
      cmocka_unit_test(manifest__every_byte_flipped),
      cmocka_unit_test(manifest__missing_files_are_named),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
