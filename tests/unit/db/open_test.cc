// Opening over manifests and logs whose checksums hold and whose content cannot be, over looks and
// calls that fail, and on disks without space for one file or the other.
#include <algorithm>

#include "batch/packed_batch.h"
#include "record/codec.h"
#include "support/damage.h"
#include "support/fault_vfs.h"
#include "util/crc32c.h"
#include "version/manifest.h"

namespace kist::test {
namespace {

using Opened = Result<std::unique_ptr<Db>>;

Opened TryOpen(Vfs* vfs, const char* options = "", const LogSink& log = LogSink()) {
  return Db::Open(kDamageDir, DamageOptions(options), log, vfs);
}

std::string HeldBy(Db* db) {
  std::string error;
  std::string held = Serialise(ReadAll(db, &error));
  assert_string_equal(error.c_str(), "");
  return held;
}

void MustHold(Vfs* vfs, const std::string& held) {
  auto db = TryOpen(vfs);
  ASSERT_OK(db);
  ASSERT_SLICE(HeldBy(db->get()), held);
  ASSERT_OK((*db)->Verify(JobControl()));
  ASSERT_OK((*db)->Close());
}

// Refused by name, by readers and writers, and left as it is.
void MustRefuse(const Files& files, Code code, const char* text) {
  for (const char* options : {"read_only=true", ""}) {
    auto vfs = VfsOf(files);
    const Status s = TryOpen(vfs.get(), options).status();
    if (!s.Is(code) || s.message().find(text) == std::string::npos)
      fail_msg("%s: wanted '%s', got %s", options, text, s.ToString().c_str());
    assert_true(FilesOf(vfs.get()) == files);
  }
}

// ---- manifests

// The sample's files with a manifest of another state.
Files WithState(const Sample& sample, const std::function<void(ManifestState*)>& change) {
  auto vfs = VfsOf(sample.files);
  auto state = ReadManifest(vfs.get(), kDamageDir);
  ASSERT_OK(state);
  change(&*state);
  ASSERT_OK(Manifest::Create(vfs.get(), kDamageDir, state->next_file + 50, &*state));
  return FilesOf(vfs.get());
}

void open__states_that_cannot_be(void**) {
  const Sample sample = MakeSample(true);
  MustRefuse(
      WithState(sample, [](ManifestState* s) { s->keyspaces.rbegin()->second.options = "x"; }),
      Code::kCorrupt, "options of keyspace 'one'");
  MustRefuse(WithState(sample, [](ManifestState* s) { s->keyspaces.erase(0); }), Code::kCorrupt,
             "the default keyspace is missing");
  MustRefuse(WithState(sample,
                       [](ManifestState* s) {  // level-0 tables in a level where none overlap
                         auto& tables = s->keyspaces[0].tables;
                         const auto old = tables;
                         tables.clear();
                         for (const auto& [at, properties] : old)
                           tables.emplace(std::make_pair(1, at.second), properties);
                       }),
             Code::kCorrupt, "MANIFEST");
}

// ---- logs

// The sample, unclean, with this record behind the last one of its log.
Files WithRecord(const Sample& sample, const std::string& data) {
  Files files = sample.files;
  for (auto& [name, bytes] : files) {
    if (TypeOf(name) != FileType::kLog || ParseFileName(name)->number != sample.log_number)
      continue;
    auto vfs = VfsOf(files);
    auto reader = SegmentReader::Open(vfs.get(), JoinPath(kDamageDir, name), SegmentType::kLog);
    ASSERT_OK(reader);
    SegmentReader::Record record;
    Sequence last = (*reader)->link().start_lsn;
    while (*(*reader)->Next(&record) == SegmentReader::Outcome::kRecord) last = record.lsn;
    codec::RecordHeader header;
    header.data_bytes = static_cast<uint32_t>(data.size());
    header.data_crc = crc32c::Value(data.data(), data.size());
    header.lsn = last + 1;
    header.durable_lsn = last;
    header.kind = static_cast<uint8_t>(RecordKind::kCommit);
    bytes.resize((*reader)->offset());
    std::string head(kRecordHeaderBytes, '\0');
    const SegmentInfo& info = (*reader)->info();
    codec::EncodeRecordHeader(header, codec::RecordSeed(info.id, info.nonce),
                              bytes.size() - info.data_start(), head.data());
    bytes += head + data;
    bytes.append((8 - data.size() % 8) % 8, '\0');
  }
  return files;
}

std::string EngineBatch(OpKind kind, uint32_t keyspace, Slice name, Slice value) {
  BatchBuilder batch;
  ASSERT_OK(batch.EngineOp(kind, keyspace, name, value));
  return std::string(batch.data());
}

void open__logged_batches_that_cannot_be(void**) {
  const Sample sample = MakeSample(false);
  const auto refused = [&](const std::string& batch, const char* text) {
    MustRefuse(WithRecord(sample, batch), Code::kCorrupt, text);
  };
  KeyspaceOptions options;
  const std::string sound = EncodeKeyspaceOptions(options);
  refused("no batch, none at all", ".log: offset");
  refused(EngineBatch(OpKind::kCreateKeyspace, 1, "again", sound), "is created twice");
  refused(EngineBatch(OpKind::kCreateKeyspace, 9, "new", "x"), ".log: offset ");
  refused(EngineBatch(OpKind::kDropKeyspace, 9, "none", ""), "does not exist");
  refused(EngineBatch(OpKind::kDropKeyspace, 0, "default", ""), "does not exist");
}

// ---- space

struct Told {
  std::string text;
};

void Tell(void* told, int, const char* message, size_t n) {
  static_cast<Told*>(told)->text.append(message, n).append("\n");
}

// What is refused for space at one kind of file, once or for ever: opened all the same where it
// can be, and nothing is lost where it cannot.
void open__without_space_for_one_file(void**) {
  const Sample sample = MakeSample(false, "");
  Told told;
  LogSink log;
  log.log = Tell;
  log.ctx = &told;
  for (const char* file : {".kst", ".log", "MANIFEST", "RESERVE", "CURRENT.tmp"}) {
    for (const uint32_t calls : {kFaultCreate, kFaultWrite, kFaultPreallocate}) {
      for (uint64_t n = 1; n <= 4; ++n) {
        for (const bool for_ever : {false, true}) {
          auto vfs = VfsOf(sample.files);
          FaultVfs faults(vfs.get());
          Fault fault(uint32_t{calls}, n, ENOSPC, for_ever);
          fault.path_contains = file;
          faults.Fail(fault);
          {
            auto db = TryOpen(&faults, "", log);
            if (db.ok()) {
              ASSERT_SLICE(HeldBy(db->get()), sample.states.back());
              faults.Heal();
              ASSERT_OK((*db)->Close());
            } else {
              ASSERT_CODE(db, Code::kNoSpace);
            }
          }
          faults.Heal();
          MustHold(vfs.get(), sample.states.back());
        }
      }
    }
  }
  assert_true(told.text.find("stays in memory until there is space") != std::string::npos);
  assert_true(told.text.find("the disk is full") != std::string::npos);
}

std::vector<uint64_t> Logs(Vfs* vfs) {
  std::vector<uint64_t> numbers;
  for (const auto& [name, bytes] : FilesOf(vfs)) {
    if (TypeOf(name) == FileType::kLog) numbers.push_back(ParseFileName(name)->number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

// Three full memtables and more stand in the log. The first has a table before space ends: its
// segment goes, which on a full disk is what the next table needs.
void open__a_segment_that_a_table_holds_gives_its_space_back(void**) {
  constexpr const char* kOptions = "write_buffer_size=256KiB; compaction=manual";
  Files files;
  std::string held;
  {
    MemoryVfs base;
    FaultVfs faults(&base);
    auto db = TryOpen(&faults, kOptions);
    ASSERT_OK(db);
    Fault fault(kFaultCreate, 1, EIO, true);  // refused, but not for want of space: puts go on
    fault.path_contains = ".kst";
    faults.Fail(fault);
    auto ks = (*db)->DefaultKeyspace();
    for (int i = 0; i < 700; ++i) {
      ASSERT_OK((*db)->Put(ks.get(), Durability::kSync, "key" + std::to_string(i),
                           std::string(1000, 'v'), 0, nullptr));
    }
    held = HeldBy(db->get());
    files = FilesOf(&base);
    faults.Heal();
    ks = RefPtr<Keyspace>();
    ASSERT_OK((*db)->Close());
  }
  auto vfs = VfsOf(files);
  const std::vector<uint64_t> before = Logs(vfs.get());
  assert_true(before.size() >= 3);
  {
    FaultVfs faults(vfs.get());
    Fault fault(kFaultCreate, 2, ENOSPC, true);
    fault.path_contains = ".kst";
    faults.Fail(fault);
    auto db = TryOpen(&faults, kOptions);
    ASSERT_OK(db);
    const std::vector<uint64_t> after = Logs(vfs.get());
    assert_false(std::find(after.begin(), after.end(), before[0]) != after.end());
    assert_true(std::find(after.begin(), after.end(), before[1]) != after.end());
    ASSERT_SLICE(HeldBy(db->get()), held);
    // What stands there now is all that a kill leaves.
    MustHold(VfsOf(FilesOf(vfs.get())).get(), held);
    faults.Heal();
    ASSERT_OK((*db)->Close());
  }
  MustHold(vfs.get(), held);
}

// ---- calls that fail

void EachFails(const Sample& sample, const char* options, uint32_t calls) {
  uint64_t n = 0;
  for (bool failed = true; failed;) {
    auto vfs = VfsOf(sample.files);
    FaultVfs faults(vfs.get());
    faults.Fail({calls, ++n, EACCES});
    {
      auto db = TryOpen(&faults, options);
      failed = faults.failures() != 0;
      faults.Heal();
      if (!failed) ASSERT_OK(db);
      if (db.ok()) ASSERT_SLICE(HeldBy(db->get()), sample.states.back());
    }
    faults.Heal();
    MustHold(vfs.get(), sample.states.back());
  }
  assert_true(n > 3);
}

void open__each_look_fails(void**) {
  for (const bool closed : {true, false}) {
    const Sample sample = MakeSample(closed);
    for (const uint32_t calls : {kFaultList, kFaultRead, kFaultOpen}) {
      EachFails(sample, "", calls);
      EachFails(sample, "read_only=true", calls);
    }
    EachFails(sample, "compaction=auto", kFaultThread | kFaultLock | kFaultRename);
    EachFails(sample, "verify_on_open=all", kFaultRead);
  }
}

// ---- numbers that are drawn

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
  int zeros = 3;
};

void open__a_database_is_not_number_0(void**) {
  MemoryVfs base;
  ZerosFirst vfs(&base);
  auto db = TryOpen(&vfs);
  ASSERT_OK(db);
  ASSERT_OK((*db)->Close());
  assert_true(vfs.zeros < 0);
  const auto state = ReadManifest(&base, kDamageDir);
  ASSERT_OK(state);
  assert_true(state->database_id != 0);
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(open__states_that_cannot_be),
      cmocka_unit_test(open__logged_batches_that_cannot_be),
      cmocka_unit_test(open__without_space_for_one_file),
      cmocka_unit_test(open__a_segment_that_a_table_holds_gives_its_space_back),
      cmocka_unit_test(open__each_look_fails),
      cmocka_unit_test(open__a_database_is_not_number_0),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
