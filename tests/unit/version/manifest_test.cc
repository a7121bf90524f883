// Edits, manifests and CURRENT: round trips, golden bytes, refusals, every byte damaged.
#include "version/manifest.h"

#include "key/file_name.h"
#include "record/codec.h"
#include "support/fault_vfs.h"
#include "support/unit_test.h"
#include "tests/unit/record/failing_vfs.h"
#include "util/coding.h"
#include "util/crc32c.h"
#include "vfs/memory_vfs.h"

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
  e.newest_log = 9;
  e.dropped.push_back(5);
  e.removed.push_back({1, 6, 300});
  ASSERT_SLICE(Hex(EncodeEdit(e)),
               "0108000000"
               "0700000000000000"
               "8008000000"
               "0900000000000000"
               "080d000000"
               "01000000"
               "06"
               "2c01000000000000"
               "0a04000000"
               "05000000");
}

void manifest__edit_unknown_tags(void**) {
  const std::string must("\x0c\0\0\0\0", 5), may("\x81\x01\0\0\0x", 6);
  ASSERT_CODE(DecodeEdit(must), Code::kTooNew);
  ASSERT_OK(DecodeEdit(may));
}

void manifest__edit_file_numbers_have_an_end(void**) {
  Edit edit;
  edit.next_file = kFileNumberMax;
  edit.removed.push_back({0, 0, kFileNumberMax});
  ASSERT_OK(DecodeEdit(EncodeEdit(edit)));
  edit.next_file = kFileNumberMax + 1;
  ASSERT_CODE(DecodeEdit(EncodeEdit(edit)), Code::kCorrupt);
  edit.next_file = 1;
  edit.removed[0].number = UINT64_MAX;
  ASSERT_CODE(DecodeEdit(EncodeEdit(edit)), Code::kCorrupt);
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

// A flipped byte gives the whole state or corruption: the mark behind each edit tells damage to the
// last one from what a crash tore.
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
      fail_msg("byte %zu flipped: another state", i);
    }
    ASSERT_OK((*file)->Write(i, Slice(*bytes).substr(i, 1)));
  }
  assert_true(refused > 100);
}

const std::string kPath = JoinPath(kDir, ManifestFileName(3));

void Overwrite(Vfs* vfs, const std::string& path, uint64_t offset, const std::string& bytes) {
  auto file = vfs->Open(path, OpenMode::kReadWrite);
  ASSERT_OK(file);
  ASSERT_OK((*file)->Write(offset, bytes));
}

// A power cut may take the last mark: then a damaged last edit looks like a torn one. What it would
// have explained is explained.
void manifest__without_its_mark_the_last_edit_may_be_torn(void**) {
  auto vfs = NewMemoryVfs();
  ASSERT_OK(vfs->MakeDir(kDir));
  Written(vfs.get());
  const Status lost = Status::Corrupt("/m/000007.log", 0, "segment 7 is missing");
  auto whole = ReadManifest(vfs.get(), kDir);
  ASSERT_OK(whole);
  assert_true(whole->broken_end.empty());
  ASSERT_SLICE(whole->Explain(lost).message(), lost.message());
  // Generation 1 is the head's, 2 and 3 follow the two edits.
  Overwrite(vfs.get(), kPath, codec::SlotOffset(3), std::string(kSegmentSlotBytes, '\0'));
  Overwrite(vfs.get(), kPath, whole->manifest_bytes - 8, "damaged!");
  auto back = ReadManifest(vfs.get(), kDir);
  ASSERT_OK(back);
  assert_int_equal(back->keyspaces.size(), 3);
  assert_int_equal(back->log_number, 7);
  const std::string told = back->Explain(lost).message();
  assert_true(told.find(kPath) == 0);
  assert_true(told.find("000007.log") != std::string::npos);
  ASSERT_CODE(back->Explain(Status::Bare(Code::kNoMem)), Code::kNoMem);
  // With the mark of the edit before it, the one before it is damage.
  Overwrite(vfs.get(), kPath, kSegmentDataStart2 + 200, "damaged!");
  ASSERT_CODE(ReadManifest(vfs.get(), kDir), Code::kCorrupt);
}

// A database's number, and a manifest's nonce, are drawn until they are not 0.
class ZerosFirst : public WrapVfs {
 public:
  using WrapVfs::WrapVfs;
  void Random(void* buf, size_t n) override {
    if (zeros-- > 0) {
      std::memset(buf, 0, n);
    } else {
      base_->Random(buf, n);
    }
  }
  int zeros = 2;
};

void manifest__draws_its_nonce(void**) {
  MemoryVfs base;
  ASSERT_OK(base.MakeDir(kDir));
  ZerosFirst vfs(&base);
  ManifestState state;
  Edit first;
  first.keyspaces.push_back({0, 0, "default", ""});
  ASSERT_OK(state.Apply(first));
  ASSERT_OK(Manifest::Create(&vfs, kDir, 3, &state));
  assert_true(vfs.zeros < 0);
  ASSERT_OK(ReadManifest(&base, kDir));
}

// Edits whose record is sound and whose content no writer wrote.
void manifest__edits_that_cannot_be(void**) {
  const auto field = [](uint8_t tag, size_t bytes) {
    std::string s(1, static_cast<char>(tag));
    AppendBytes(&s, std::string(bytes, '\0'));
    return s;
  };
  for (uint8_t tag = 1; tag <= 11; ++tag) {
    for (size_t bytes = 0; bytes < 200; ++bytes) {
      auto edit = DecodeEdit(field(tag, bytes));
      if (edit.ok()) {
        assert_int_equal(EncodeEdit(*edit).size(), bytes + 5);
      } else {
        ASSERT_CODE(edit, Code::kCorrupt);
      }
    }
  }
  NewTable t;
  t.level = 64;
  Edit high;
  high.added.push_back(t);
  ASSERT_CODE(DecodeEdit(EncodeEdit(high)), Code::kCorrupt);
  ManifestState state;
  Edit of_nobody;
  of_nobody.keyspace_options.emplace_back(5, "compression=none");
  ASSERT_CODE(state.Apply(of_nobody), Code::kCorrupt);
  Edit adds;
  adds.added.push_back(NewTable());
  ASSERT_CODE(state.Apply(adds), Code::kCorrupt);  // to no keyspace
  Edit keyspace;
  keyspace.keyspaces.push_back({0, 0, "default", ""});
  keyspace.keyspaces.push_back({4, 0, "four", ""});
  ASSERT_OK(state.Apply(keyspace));
  ASSERT_OK(state.Apply(adds));
  ASSERT_CODE(state.Apply(adds), Code::kCorrupt);  // twice
  Edit options;
  options.keyspace_options.emplace_back(4, "compression=none");
  auto decoded = DecodeEdit(EncodeEdit(options));
  ASSERT_OK(decoded);
  ASSERT_OK(state.Apply(*decoded));
  ASSERT_SLICE(state.keyspaces[4].options, "compression=none");
  Edit removes;
  removes.removed.push_back({7, 0, 0});
  ASSERT_CODE(state.Apply(removes), Code::kCorrupt);  // from no keyspace
}

// A manifest file of these records, and CURRENT that names it.
std::unique_ptr<MemoryVfs> Forged(const SegmentInfo& info, const CurrentFile& current,
                                  const std::vector<std::pair<RecordKind, std::string>>& records) {
  auto vfs = std::make_unique<MemoryVfs>();
  ASSERT_OK(vfs->MakeDir(kDir));
  SegmentWriter::Options options;
  options.info = info;
  auto writer = SegmentWriter::Create(vfs.get(), kPath, options);
  ASSERT_OK(writer);
  for (const auto& [kind, data] : records) {
    std::string buffer = std::string(kRecordHeaderMax, '#') + data + "########";
    PreparedRecord record;
    record.data = buffer.data() + kRecordHeaderMax;
    record.data_bytes = static_cast<uint32_t>(data.size());
    record.data_crc = crc32c::Value(data.data(), data.size());
    record.kind = kind;
    record.lsn = (*writer)->last_lsn() + 1;
    ASSERT_OK((*writer)->Append(&record, 1, (*writer)->last_lsn(), false));
  }
  ASSERT_OK((*writer)->Sync());
  ASSERT_OK(ReplaceFile(vfs.get(), JoinPath(kDir, kCurrentFileName), EncodeCurrent(current)));
  return vfs;
}

void manifest__what_does_not_belong_together_is_refused(void**) {
  SegmentInfo info;
  info.type = SegmentType::kManifest;
  info.id = 3;
  info.nonce = 1;
  info.database_id = 42;
  Edit e;
  e.log_number = 7;
  const std::string sound = EncodeEdit(e);
  using Records = std::vector<std::pair<RecordKind, std::string>>;
  const auto read = [&](const SegmentInfo& i, const CurrentFile& c, const Records& records) {
    return ReadManifest(Forged(i, c, records).get(), kDir).status();
  };
  const Records one = {{RecordKind::kEdit, sound}};
  ASSERT_OK(read(info, {42, 3}, one));
  ASSERT_CODE(read(info, {41, 3}, one), Code::kCorrupt);  // of another database
  SegmentInfo other = info;
  other.id = 4;
  ASSERT_CODE(read(other, {42, 3}, one), Code::kCorrupt);  // under another's name
  SegmentInfo log = info;
  log.type = SegmentType::kLog;
  ASSERT_CODE(read(log, {42, 3}, one), Code::kCorrupt);
  ASSERT_CODE(read(info, {42, 3}, {}), Code::kCorrupt);  // not one edit
  ASSERT_CODE(read(info, {42, 3}, {{RecordKind::kCommit, sound}}), Code::kCorrupt);
  ASSERT_CODE(read(info, {42, 3}, {{RecordKind::kEdit, "\x01"}}), Code::kCorrupt);
  const Status newer = read(info, {42, 3}, {{RecordKind::kEdit, std::string("\x0c\0\0\0\0", 5)}});
  ASSERT_CODE(newer, Code::kTooNew);
  assert_true(newer.message().find(kPath) == 0);
  std::string bytes = EncodeCurrent({42, 3});
  bytes[8] = 9;  // a version of CURRENT to come
  ASSERT_CODE(DecodeCurrent(bytes, "CURRENT"), Code::kCorrupt);
  const uint32_t crc = crc32c::Value(bytes.data(), 36);
  for (int i = 0; i < 4; ++i) bytes[36 + i] = static_cast<char>(crc >> (8 * i));
  ASSERT_CODE(DecodeCurrent(bytes, "CURRENT"), Code::kTooNew);
}

// Without marks: an edit behind the damaged one says that that was durable.
void manifest__a_later_edit_proves_damage(void**) {
  SegmentInfo info;
  info.type = SegmentType::kManifest;
  info.id = 3;
  info.nonce = 1;
  info.database_id = 42;
  Edit e;
  e.log_number = 7;
  const std::string edit = EncodeEdit(e);
  const uint64_t padded = (kRecordHeaderBytes + edit.size() + 7) / 8 * 8;
  const uint64_t first = kSegmentDataStart2 + kRecordHeaderBytes + codec::kLinkBytes;
  for (size_t edits = 1; edits <= 3; ++edits) {
    auto vfs = Forged(info, {42, 3}, {edits, {RecordKind::kEdit, edit}});
    ASSERT_OK(ReadManifest(vfs.get(), kDir));
    // The second of three is damage; the last of all may have been torn, the only one may not.
    for (size_t damaged = 0; damaged < edits; ++damaged) {
      const std::string path = kPath;
      auto bytes = ReadFile(vfs.get(), path);
      ASSERT_OK(bytes);
      const uint64_t at = first + damaged * padded + kRecordHeaderBytes;
      Overwrite(vfs.get(), path, at, "x");
      const Status s = ReadManifest(vfs.get(), kDir).status();
      if (damaged != 0 && damaged == edits - 1) {
        ASSERT_OK(s);
      } else {
        ASSERT_CODE(s, Code::kCorrupt);
        const char* reason = damaged == 0 ? "no complete edit" : "a damaged edit";
        assert_true(s.message().find(reason) != std::string::npos);
      }
      Overwrite(vfs.get(), path, at, bytes->substr(at, 1));
    }
  }
}

// Each look at it fails in turn: told, and never taken for its end.
void manifest__every_look_fails(void**) {
  auto base = NewMemoryVfs();
  ASSERT_OK(base->MakeDir(kDir));
  Written(base.get());
  const uint64_t end = ReadManifest(base.get(), kDir)->manifest_bytes;
  auto file = base->Open(kPath, OpenMode::kReadWrite);
  ASSERT_OK(file);
  ASSERT_OK((*file)->Write(end, std::string(300000, '\0') + "torn"));
  uint64_t n = 0;
  for (bool failed = true; failed;) {
    FailingVfs vfs(base.get(), ++n);
    const auto state = ReadManifest(&vfs, kDir);
    failed = vfs.failed();
    if (failed) ASSERT_CODE(state, Code::kIo);
    if (!failed) assert_int_equal(state->manifest_bytes, end);
  }
  assert_true(n > 5);
}

// Each call fails in turn, once and for ever: an Append that succeeded is found again, one that
// failed is whole or absent, and reading reports the error.
void manifest__every_call_fails(void**) {
  for (const bool for_ever : {false, true}) {
    for (uint64_t n = 1;; ++n) {
      MemoryVfs base;
      ASSERT_OK(base.MakeDir(kDir));
      FaultVfs vfs(&base);
      ManifestState state;
      Edit first;
      first.keyspaces.push_back({0, 0, "default", ""});
      ASSERT_OK(state.Apply(first));
      vfs.Fail({kFaultAll, n, EIO, for_ever});
      auto m = Manifest::Create(&vfs, kDir, 3, &state);
      ManifestState after = state;
      bool took = false;
      if (m.ok()) {
        took = (*m)->Append(Full()).ok();
        if (took) ASSERT_OK(after.Apply(Full()));
        if ((*m)->broken()) {
          ASSERT_CODE((*m)->Append(Full()), Code::kPoisoned);
          const uint64_t writes = vfs.Count(kFaultChanging);
          ASSERT_OK((*m)->Seal());  // does nothing
          assert_int_equal(vfs.Count(kFaultChanging), writes);
        }
        if (took) static_cast<void>((*m)->Seal().ok());
      }
      const auto back = ReadManifest(&vfs, kDir);
      const uint64_t failed = vfs.failures();
      vfs.Heal();
      const auto healed = ReadManifest(&vfs, kDir);
      if (m.ok()) ASSERT_OK(healed);
      if (took) ASSERT_SLICE(EncodeEdit(healed->Snapshot()), EncodeEdit(after.Snapshot()));
      if (m.ok() && back.ok())
        ASSERT_SLICE(EncodeEdit(back->Snapshot()), EncodeEdit(healed->Snapshot()));
      if (failed == 0) break;
    }
  }
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
      cmocka_unit_test(manifest__edit_file_numbers_have_an_end),
      cmocka_unit_test(manifest__edit_every_cut_is_refused_or_shorter),
      cmocka_unit_test(manifest__current_golden_bytes),
      cmocka_unit_test(manifest__round_trip),
      cmocka_unit_test(manifest__contradictions_are_refused),
      cmocka_unit_test(manifest__every_byte_flipped),
      cmocka_unit_test(manifest__without_its_mark_the_last_edit_may_be_torn),
      cmocka_unit_test(manifest__a_later_edit_proves_damage),
      cmocka_unit_test(manifest__every_look_fails),
      cmocka_unit_test(manifest__draws_its_nonce),
      cmocka_unit_test(manifest__edits_that_cannot_be),
      cmocka_unit_test(manifest__what_does_not_belong_together_is_refused),
      cmocka_unit_test(manifest__every_call_fails),
      cmocka_unit_test(manifest__missing_files_are_named),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
