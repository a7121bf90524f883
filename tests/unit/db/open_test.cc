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

// The sample, unclean, with these records behind the last one of its log.
Files WithRecords(const Sample& sample, const std::vector<std::string>& datas) {
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
    bytes.resize((*reader)->offset());
    for (const std::string& data : datas) {
      codec::RecordHeader header;
      header.data_bytes = static_cast<uint32_t>(data.size());
      header.data_crc = crc32c::Value(data.data(), data.size());
      header.durable_lsn = last;
      header.lsn = ++last;
      header.kind = static_cast<uint8_t>(RecordKind::kCommit);
      std::string head(kRecordHeaderBytes, '\0');
      const SegmentInfo& info = (*reader)->info();
      codec::EncodeRecordHeader(header, codec::RecordSeed(info.id, info.nonce),
                                bytes.size() - info.data_start(), head.data());
      bytes += head + data;
      bytes.append((8 - data.size() % 8) % 8, '\0');
    }
  }
  return files;
}

Files WithRecord(const Sample& sample, const std::string& data) {
  return WithRecords(sample, {data});
}

std::string EngineBatch(OpKind kind, uint32_t keyspace, Slice name, Slice value) {
  BatchBuilder batch;
  ASSERT_OK(batch.EngineOp(kind, keyspace, name, value));
  return std::string(batch.data());
}

const std::string kSound = EncodeKeyspaceOptions(KeyspaceOptions());

void open__logged_batches_that_cannot_be(void**) {
  const Sample sample = MakeSample(false);
  const auto refused = [&](const std::string& batch, const char* text) {
    MustRefuse(WithRecord(sample, batch), Code::kCorrupt, text);
  };
  refused("no batch, none at all", ".log: offset");
  refused(EngineBatch(OpKind::kCreateKeyspace, 1, "again", kSound), "is created twice");
  refused(EngineBatch(OpKind::kCreateKeyspace, 9, "new", "x"), ".log: offset ");
  refused(EngineBatch(OpKind::kDropKeyspace, 9, "none", ""), "does not exist");
  refused(EngineBatch(OpKind::kDropKeyspace, 0, "default", ""), "does not exist");
  BatchBuilder long_key;
  ASSERT_OK(long_key.Put(0, std::string(BatchLimits().max_key_bytes + 1, 'k'), "v", 0));
  refused(std::string(long_key.data()), "key too long");
  for (const uint32_t keyspace : {1, 9}) {  // one of the manifest, a new one: gone is gone
    BatchBuilder again;
    if (keyspace == 9) ASSERT_OK(again.EngineOp(OpKind::kCreateKeyspace, keyspace, "new", kSound));
    ASSERT_OK(again.EngineOp(OpKind::kDropKeyspace, keyspace, "new", ""));
    ASSERT_OK(again.EngineOp(OpKind::kCreateKeyspace, keyspace, "newer", kSound));
    refused(std::string(again.data()), "is created twice");
  }
  // The same where a table has taken in the drop before.
  std::vector<std::string> records = {EngineBatch(OpKind::kDropKeyspace, 1, "one", "")};
  for (const char* key : {"a", "b", "c"}) {
    BatchBuilder large;
    ASSERT_OK(large.Put(0, key, std::string(30000, 'x'), 0));
    records.emplace_back(large.data());
  }
  records.push_back(EngineBatch(OpKind::kCreateKeyspace, 1, "newer", kSound));
  MustRefuse(WithRecords(sample, records), Code::kCorrupt, "is created twice");
}

// A keyspace and its first entries may be one commit.
void open__a_logged_batch_may_make_a_keyspace_and_fill_it(void**) {
  const Sample sample = MakeSample(false);
  BatchBuilder batch;
  ASSERT_OK(batch.EngineOp(OpKind::kCreateKeyspace, 9, "nine", kSound));
  ASSERT_OK(batch.Put(9, "key", "value", 0));
  auto vfs = VfsOf(WithRecord(sample, std::string(batch.data())));
  for (const char* options : {"read_only=true", "", "read_only=true"}) {
    auto db = TryOpen(vfs.get(), options);
    ASSERT_OK(db);
    std::string error;
    assert_true(ReadAll(db->get(), &error)["nine"]["key"] == "value");
    assert_string_equal(error.c_str(), "");
    ASSERT_OK((*db)->Close());
  }
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

// Segments that are kept for feeds, and those that a memtable waiting for space still needs, are
// the same ones: a feed gives each commit once.
void open__kept_segments_beside_a_memtable_that_waits(void**) {
  const Sample sample = MakeSample(false, "log_retention=1MiB");
  auto vfs = VfsOf(sample.files);
  FaultVfs faults(vfs.get());
  Fault fault(kFaultCreate, 1, ENOSPC, true);
  fault.path_contains = ".kst";
  faults.Fail(fault);
  const auto fed = [](Db* db) {
    auto feed = db->NewFeed(0);
    ASSERT_OK(feed);
    std::vector<Sequence> seen;
    FeedCommit commit;
    for (bool got = true;;) {
      ASSERT_OK((*feed)->Next(0, &commit, &got));
      if (!got) return seen;
      seen.push_back(commit.seq);
    }
  };
  std::vector<Sequence> first;
  {
    auto db = TryOpen(&faults, "log_retention=1MiB");
    ASSERT_OK(db);
    assert_true(faults.failures() > 0);
    first = fed(db->get());
    faults.Heal();
    ASSERT_OK((*db)->Flush());
    assert_true(fed(db->get()) == first);
    ASSERT_OK((*db)->Close());
  }
  assert_int_equal(first.size(), 32);
  assert_true(std::adjacent_find(first.begin(), first.end(), std::greater_equal<Sequence>()) ==
              first.end());
  auto db = TryOpen(vfs.get(), "log_retention=1MiB");
  ASSERT_OK(db);
  assert_true(fed(db->get()) == first);
  ASSERT_SLICE(HeldBy(db->get()), sample.states.back());
  ASSERT_OK((*db)->Close());
}

// A sink hears what is of its level.
void open__says_only_what_is_asked_for(void**) {
  const Sample sample = MakeSample(false);
  for (const int level : {1, 2}) {
    Told told;
    LogSink log;
    log.level = level;
    log.log = Tell;
    log.ctx = &told;
    Files files = sample.files;
    for (auto& [name, bytes] : files) {
      if (TypeOf(name) == FileType::kLog && ParseFileName(name)->number == sample.log_number)
        bytes += "torn";
    }
    auto vfs = VfsOf(files);
    auto db = TryOpen(vfs.get(), "", log);
    ASSERT_OK(db);
    ASSERT_OK((*db)->Close());
    assert_int_equal(told.text.find("never promised durable") != std::string::npos, level == 1);
  }
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

// From one look on, for ever: a reader says so and does not go round in circles.
void open__all_looks_fail(void**) {
  const Sample sample = MakeSample(false);
  for (const uint32_t calls : {kFaultList, kFaultRead, kFaultOpen}) {
    auto vfs = VfsOf(sample.files);
    bool failed = true;
    for (uint64_t n = 1; failed; ++n) {
      FaultVfs faults(vfs.get());
      faults.Fail({calls, n, EACCES, true});
      const auto db = TryOpen(&faults, "read_only=true");
      failed = faults.failures() != 0;
      if (!failed) ASSERT_OK(db);
      if (failed && !db.ok()) ASSERT_CODE(db, Code::kPermission);
    }
    assert_true(FilesOf(vfs.get()) == sample.files);
  }
}

// ---- places

class Places : public WrapVfs {
 public:
  using WrapVfs::WrapVfs;
  Result<std::string> Absolute(const std::string& path) override {
    if (!absolute) return Status::FromErrno(ENOENT, "asking for the working directory", "");
    return path;
  }
  Result<FileInfo> Stat(const std::string& path) override {
    if (make_before_next_stat_returns && path == kDamageDir) {
      make_before_next_stat_returns = false;
      auto info = base_->Stat(path);
      ASSERT_OK(base_->MakeDir(path));
      return info;
    }
    return base_->Stat(path);
  }
  Status SyncDir(const std::string& dir) override {
    if (dir == "/" && parent_error != 0) return Status::FromErrno(parent_error, "opening", dir);
    return base_->SyncDir(dir);
  }
  bool absolute = true;
  int parent_error = 0;
  bool make_before_next_stat_returns = false;
};

void open__places(void**) {
  {
    MemoryVfs base;
    Places vfs(&base);
    ASSERT_CODE(Db::Open("", DamageOptions(), LogSink(), &vfs), Code::kInvalid);
    vfs.absolute = false;
    ASSERT_CODE(TryOpen(&vfs), Code::kMissing);  // its working directory is gone
    ASSERT_CODE(base.Stat(kDamageDir), Code::kMissing);
    vfs.absolute = true;
    vfs.make_before_next_stat_returns = true;  // another process is a moment earlier
    auto db = TryOpen(&vfs);
    ASSERT_OK(db);
    assert_false(vfs.make_before_next_stat_returns);
    ASSERT_OK((*db)->Close());
  }
  {
    MemoryVfs base;  // no database, but files of others: they stay
    ASSERT_OK(base.MakeDir(kDamageDir));
    for (const char* name : {"notes.txt", "7.logs", "MANIFEST"}) {
      auto file = base.Open(JoinPath(kDamageDir, name), OpenMode::kCreateNew);
      ASSERT_OK(file);
      ASSERT_OK((*file)->Write(0, name));
    }
    const Files before = FilesOf(&base);
    ASSERT_CODE(TryOpen(&base, "read_only=true"), Code::kMissing);
    auto db = TryOpen(&base);
    ASSERT_OK(db);
    ASSERT_OK((*db)->Close());
    Files after = FilesOf(&base);
    for (const auto& [name, bytes] : before) assert_true(after[name] == bytes);
  }
  for (const int error : {EACCES, EIO}) {  // a directory above that may be entered, not opened
    MemoryVfs base;
    Places vfs(&base);
    vfs.parent_error = error;
    auto db = TryOpen(&vfs);
    if (error == EACCES) {
      ASSERT_OK(db);
    } else {
      ASSERT_CODE(db, Code::kIo);
    }
  }
  {
    MemoryVfs base;  // what a reader cannot list may be a database
    ASSERT_OK(base.MakeDir(kDamageDir));
    FaultVfs faults(&base);
    Fault fault(kFaultList, 2, EACCES, true);  // the first look is a Stat
    faults.Fail(fault);
    ASSERT_CODE(TryOpen(&faults, "read_only=true"), Code::kPermission);
  }
}

void open__a_keyspace_without_tables_stands_between(void**) {
  Files files;
  std::string held;
  {
    MemoryVfs base;
    auto db = TryOpen(&base);
    ASSERT_OK(db);
    for (const char* name : {"empty", "full"})
      ASSERT_OK((*db)->OpenKeyspace(name, KeyspaceMode::kCreate, nullptr));
    auto full = (*db)->OpenKeyspace("full", KeyspaceMode::kOpen, nullptr);
    ASSERT_OK(full);
    ASSERT_OK((*db)->Put(full->get(), Durability::kSync, "key", "value", 0, nullptr));
    ASSERT_OK((*db)->Flush());
    held = HeldBy(db->get());
    full = Status::Bare(Code::kClosed);
    ASSERT_OK((*db)->Close());
    files = FilesOf(&base);
  }
  for (const char* options : {"read_only=true", ""}) {
    auto vfs = VfsOf(files);
    auto db = TryOpen(vfs.get(), options);
    ASSERT_OK(db);
    ASSERT_SLICE(HeldBy(db->get()), held);
    ASSERT_OK((*db)->Close());
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
      cmocka_unit_test(open__a_logged_batch_may_make_a_keyspace_and_fill_it),
      cmocka_unit_test(open__without_space_for_one_file),
      cmocka_unit_test(open__a_segment_that_a_table_holds_gives_its_space_back),
      cmocka_unit_test(open__kept_segments_beside_a_memtable_that_waits),
      cmocka_unit_test(open__says_only_what_is_asked_for),
      cmocka_unit_test(open__each_look_fails),
      cmocka_unit_test(open__all_looks_fail),
      cmocka_unit_test(open__places),
      cmocka_unit_test(open__a_keyspace_without_tables_stands_between),
      cmocka_unit_test(open__a_database_is_not_number_0),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
