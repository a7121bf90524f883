// Damage as disks do it, under a whole database: sectors that are stale (the write was lost),
// swapped, misdirected or foreign, and files that were renamed (promises G8, G9, G10). And the
// proof that nothing lies uncovered: every single byte of every file is flipped, and what neither
// open nor verification names must stand on the short list of Uncovered, with all data as it was.
#include <unistd.h>

#include <cstdio>

#include "record/segment.h"
#include "support/crash_states.h"
#include "support/damage.h"
#include "support/fault_vfs.h"
#include "version/manifest.h"

namespace kist::test {
namespace {

constexpr size_t kSector = 512, kSlot1 = 512, kSlot2 = 1024;

bool Quick() { return std::getenv("KIST_TEST_QUICK") != nullptr; }

std::string Sector(const Files& files, const std::string& name, size_t at) {
  const auto found = files.find(name);
  std::string sector =
      found == files.end() || found->second.size() <= at ? "" : found->second.substr(at, kSector);
  sector.resize(kSector, '\0');
  return sector;
}

// Writes the sector into the file, which keeps its size.
void Put(Files* files, const std::string& name, size_t at, const std::string& sector) {
  std::string& data = files->at(name);
  const size_t n = std::min(kSector, data.size() - at);
  data.replace(at, n, sector, 0, n);
}

// How old a state may be found. A log's seal and valid_data_end stand in its slots, the sectors at
// 512 and 1024; without them, and in a database that was not closed in order, the end of the log
// may take with it all proof that its commits were durable, and any prefix is right. All else must
// be there.
size_t Floor(const Sample& sample, bool sealed, const std::string& name) {
  return !sealed && TypeOf(name) == FileType::kLog ? 0 : sample.states.size() - 1;
}

class Sectors {
 public:
  Sectors(const char* kind, bool closed)
      : sample(MakeSample(closed)), kind_(kind), closed_(closed) {}
  ~Sectors() { std::printf("sectors %s: %zu judged\n", kind_, judged_); }

  void Judge(const Files& files, const std::string& name, size_t at, const std::string& from) {
    if (files == sample.files) return;
    const bool sealed = closed_ &&
                        Sector(files, name, kSlot1) == Sector(sample.files, name, kSlot1) &&
                        Sector(files, name, kSlot2) == Sector(sample.files, name, kSlot2);
    JudgeDamage(sample, files, Floor(sample, sealed, name), judged_ % 2 == 0,
                std::string(closed_ ? "closed: " : "left open: ") + name + " sector at " +
                    std::to_string(at) + " " + kind_ + " " + from);
    ++judged_;
  }

  const Sample sample;

 private:
  const char* const kind_;
  const bool closed_;
  size_t judged_ = 0;
};

// The disk said that it wrote and did not: one sector, or a file from a sector on, is as it was at
// some earlier time.
void sectors__stale(void**) {
  for (const bool closed : {true, false}) {
    Sectors sectors("stale", closed);
    const Sample& sample = sectors.sample;
    for (const auto& [name, data] : sample.files) {
      if (!HasContent(name)) continue;
      for (size_t at = 0; at < data.size(); at += kSector) {
        for (size_t i = 0; i < sample.older.size(); i += Quick() ? 3 : 1) {
          Files files = sample.files;
          Put(&files, name, at, Sector(sample.older[i], name, at));
          sectors.Judge(files, name, at, "as of " + std::to_string(i));
          for (size_t more = at + kSector; more < data.size(); more += kSector)
            Put(&files, name, more, Sector(sample.older[i], name, more));
          sectors.Judge(files, name, at, "and what follows as of " + std::to_string(i));
        }
      }
    }
  }
}

void sectors__swapped(void**) {
  for (const bool closed : {true, false}) {
    Sectors sectors("swapped", closed);
    for (const auto& [name, data] : sectors.sample.files) {
      if (!HasContent(name)) continue;
      for (size_t a = 0; a < data.size(); a += kSector) {
        for (size_t b = a + kSector; b < data.size(); b += Quick() ? 3 * kSector : kSector) {
          Files files = sectors.sample.files;
          Put(&files, name, a, Sector(sectors.sample.files, name, b));
          Put(&files, name, b, Sector(sectors.sample.files, name, a));
          sectors.Judge(files, name, a, "with " + std::to_string(b));
        }
      }
    }
  }
}

// What was meant for one place was written to another one, of this file, of another one, or of the
// same file of another database.
void sectors__misdirected(void**) {
  for (const bool closed : {true, false}) {
    Sectors sectors("misdirected", closed);
    const Sample other = MakeSample(closed);
    size_t turn = 0;
    for (const auto& [name, data] : sectors.sample.files) {
      if (!HasContent(name)) continue;
      for (size_t at = 0; at < data.size(); at += kSector) {
        for (const auto& [from, bytes] : sectors.sample.files) {
          for (size_t there = 0; there < bytes.size(); there += kSector) {
            if (!HasContent(from) || ++turn % (Quick() ? 17 : 2) != 0) continue;
            Files files = sectors.sample.files;
            Put(&files, name, at, Sector(sectors.sample.files, from, there));
            sectors.Judge(files, name, at, "from " + from + " at " + std::to_string(there));
          }
        }
        Files files = sectors.sample.files;
        Put(&files, name, at, Sector(other.files, name, at));
        sectors.Judge(files, name, at, "from another database");
      }
    }
  }
}

// Under another name, and gone under its own.
void sectors__files_renamed(void**) {
  const Sample sample = MakeSample(true);
  const size_t last = sample.states.size() - 1;
  for (const auto& [name, data] : sample.files) {
    for (const char* as : {"000900.kst", "000900.log", "MANIFEST-000900", "MANIFEST-000001",
                           "CURRENT.tmp", "CURRENT.old", "current", "stray", "1.kst"}) {
      if (sample.files.count(as) != 0) continue;
      for (const bool read_only : {true, false}) {
        Files files = sample.files;
        files[as] = data;
        files.erase(name);
        const std::string what = name + " renamed to " + as;
        if (!HasContent(name) || sample.IsSpare(name)) {
          JudgeDamage(sample, files, last, read_only, what);
          continue;
        }
        auto vfs = VfsOf(files);
        const auto opened = Db::Open(kDamageDir, DamageOptions(read_only ? "read_only=true" : ""),
                                     LogSink(), vfs.get());
        if (opened.ok()) fail_msg("%s: opens", what.c_str());
        ASSERT_CODE(opened, Code::kCorrupt);
        assert_true(FilesOf(vfs.get()) == files);
      }
    }
  }
}

// A segment made ahead of time, that nothing was written to but its head.
bool IsAhead(const std::string& data) {
  return data.find_first_not_of('\0', std::min(data.size(), kSegmentDataStart2)) ==
         std::string::npos;
}

// The manifest learns of the newest segment of the log soon after it was begun.
bool NewestLogIsNamed(Vfs* vfs) {
  uint64_t newest = 0;
  for (const auto& [name, data] : FilesOf(vfs)) {
    if (TypeOf(name) == FileType::kLog && !IsAhead(data))
      newest = std::max(newest, ParseFileName(name)->number);
  }
  const auto state = ReadManifest(vfs, kDamageDir);
  return state.ok() && state->newest_log == newest;
}

// A database that was closed, or killed, while its log had several segments, because tables found
// no space.
Files SeveralLogs(bool closed) {
  MemoryVfs vfs;
  Files killed;
  {
    FaultVfs faults(&vfs);
    auto db = Db::Open(kDamageDir, DamageOptions(), LogSink(), &faults);
    ASSERT_OK(db);
    auto ks = (*db)->DefaultKeyspace();
    Fault no_tables(kFaultCreate, 1, ENOSPC, true);
    no_tables.path_contains = ".kst";
    faults.Fail(no_tables);
    for (int i = 0; i < 8;) {
      const Status s = (*db)->Put(ks.get(), Durability::kSync, "key" + std::to_string(i),
                                  std::string(20000, 'x'), 0, nullptr);
      i += s.ok();
      if (!s.Is(Code::kNoSpace)) ASSERT_OK(s);  // a flush tries in the reserve
    }
    while (!NewestLogIsNamed(&vfs)) usleep(1000);
    killed = FilesOf(&vfs);
    ks = RefPtr<Keyspace>();
    ASSERT_OK((*db)->Close());
  }
  return closed ? FilesOf(&vfs) : killed;
}

// Every one is needed, the last one too.
void EachLogIsMissed(const Files& files) {
  size_t logs = 0;
  for (const auto& [name, data] : files) {
    if (TypeOf(name) != FileType::kLog || IsAhead(data)) continue;
    ++logs;
    for (const bool removed : {true, false}) {
      for (const char* how : {"read_only=true", ""}) {
        Files less = files;
        removed ? static_cast<void>(less.erase(name)) : less[name].clear();
        auto image = VfsOf(less);
        const auto db = Db::Open(kDamageDir, DamageOptions(how), LogSink(), image.get());
        if (db.ok()) fail_msg("%s %s: opens", name.c_str(), removed ? "removed" : "emptied");
        ASSERT_CODE(db, Code::kCorrupt);
        assert_true(FilesOf(image.get()) == less);
      }
    }
  }
  assert_true(logs >= 3);
}

// Verification looks names up: what is gone under an open database is found while its memory still
// has everything.
void sectors__a_file_gone_under_an_open_database_is_found(void**) {
  MemoryVfs vfs;
  auto db = Db::Open(kDamageDir, DamageOptions("log_retention=1MiB"), LogSink(), &vfs);
  ASSERT_OK(db);
  auto ks = (*db)->DefaultKeyspace();
  ASSERT_OK((*db)->Put(ks.get(), Durability::kSync, "flushed", "1", 0, nullptr));
  ASSERT_OK((*db)->Flush());
  ASSERT_OK((*db)->Put(ks.get(), Durability::kSync, "live", "2", 0, nullptr));
  ASSERT_OK((*db)->Verify(JobControl()));
  size_t gone = 0;
  for (const auto& [name, data] : FilesOf(&vfs)) {
    if (!HasContent(name) || (TypeOf(name) == FileType::kLog && IsAhead(data))) continue;
    const std::string path = JoinPath(kDamageDir, name), away = path + ".away";
    ASSERT_OK(vfs.Rename(path, away));
    const Status s = (*db)->Verify(JobControl());
    if (!s.Is(Code::kCorrupt) || s.message().find(name) == std::string::npos)
      fail_msg("%s gone: %s", name.c_str(), s.ToString().c_str());
    ASSERT_OK(vfs.Rename(away, path));
    ++gone;
  }
  assert_true(gone >= 5);  // CURRENT, a manifest, a table, a log that is kept and the live one
  ASSERT_OK((*db)->Verify(JobControl()));
}

// What an opening leaves that a crash cuts short is whole, with and without space for tables.
void OpeningsAreCutShort(const Files& files) {
  for (const bool tables : {true, false}) {
    RecordingVfs recording(VfsOf(files)->Image());
    FaultVfs faults(&recording);
    Fault no_tables(kFaultCreate, 1, ENOSPC, true);
    no_tables.path_contains = ".kst";
    if (!tables) faults.Fail(no_tables);
    std::string error, held;
    {
      auto db = Db::Open(kDamageDir, DamageOptions("memory_budget=16MiB"), LogSink(), &faults);
      ASSERT_OK(db);
      held = Serialise(ReadAll(db->get(), &error));
      ASSERT_OK((*db)->Close());
    }
    CrashOptions co;
    co.random_subsets = Quick() ? 2 : 20;
    const uint64_t states =
        CrashStates(recording.GetTrace(), co).ForEach([&](const CrashState& state) {
          auto crashed = state.MakeVfs();
          auto db =
              Db::Open(kDamageDir, DamageOptions("memory_budget=16MiB"), LogSink(), crashed.get());
          if (!db.ok())
            fail_msg("%s: %s", state.ToString().c_str(), db.status().ToString().c_str());
          assert_true(Serialise(ReadAll(db->get(), &error)) == held && error.empty());
          return true;
        });
    std::printf("several logs: %llu crash states\n", static_cast<unsigned long long>(states));
    assert_true(states > 50);
  }
}

void sectors__each_of_several_logs_is_missed(void**) {
  for (const bool closed : {true, false}) {
    const Files files = SeveralLogs(closed);
    EachLogIsMissed(files);
    OpeningsAreCutShort(files);
  }
}

// LOCK and RESERVE hold nothing and are no one's loss.
void sectors__files_without_content_hold_nothing(void**) {
  const Sample sample = MakeSample(true);
  const size_t last = sample.states.size() - 1;
  for (const char* name : {"LOCK", "RESERVE"}) {
    for (const std::string& data : {std::string(), std::string(700, 'x'), std::string("KISTCUR")}) {
      Files files = sample.files;
      files[name] = data;
      JudgeDamage(sample, files, last, false, std::string(name) + " overwritten");
      files.erase(name);
      JudgeDamage(sample, files, last, false, std::string(name) + " removed");
    }
  }
}

struct Byte {
  std::string name;
  size_t at;
};

// Where a segment's records end, and where the last one begins.
struct Extent {
  size_t end = 0, last = 0;
};

Extent ExtentOf(const Sample& sample, const std::string& name) {
  Extent extent;
  const bool log = TypeOf(name) == FileType::kLog;
  if ((!log && TypeOf(name) != FileType::kManifest) || sample.IsSpare(name)) return extent;
  auto vfs = VfsOf(sample.files);
  auto reader = SegmentReader::Open(vfs.get(), JoinPath(kDamageDir, name),
                                    log ? SegmentType::kLog : SegmentType::kManifest);
  ASSERT_OK(reader);
  for (SegmentReader::Record record;;) {
    auto outcome = (*reader)->Next(&record);
    ASSERT_OK(outcome);
    if (*outcome != SegmentReader::Outcome::kRecord) return extent;
    extent = {record.end, record.offset};
  }
}

// All that may go unnoticed, because nothing is lost with it.
//   LOCK, RESERVE   they hold nothing
//   a spare log     made ahead of its time; it holds no commit, and opening makes another one
//   a log's tail    behind its last record: reserved for records to come
// Where a database was not closed in order the ends of its log and manifest have no proof of their
// own: the last record is taken for one that a crash tore, and everything before it is there. Of
// a manifest that is the edit whose logs and tables are still there too: all data is.
bool Uncovered(const Sample& sample, bool closed, const Byte& byte, const Extent& extent) {
  if (!HasContent(byte.name) || sample.IsSpare(byte.name)) return true;
  if (TypeOf(byte.name) == FileType::kManifest) return !closed && byte.at >= extent.last;
  if (TypeOf(byte.name) != FileType::kLog) return false;
  return byte.at >= (closed || sample.IsRetained(byte.name) ? extent.end : extent.last);
}

enum class Fate { kRefused, kVerified, kWhole, kPrefix };

// Opens for reading what has one byte wrong; the message must name the file. Of a manifest that
// lost its last edit it may name what is missing for it: the log that the edit let go.
Fate FateOf(const Sample& sample, bool closed, Vfs* vfs, const Byte& byte) {
  const std::string what = byte.name + " byte " + std::to_string(byte.at);
  const auto named = [&](const Status& s, const char* by) {
    if (!s.Is(Code::kCorrupt) && !s.Is(Code::kTooNew))
      fail_msg("%s: %s: %s", what.c_str(), by, s.ToString().c_str());
    const bool misses = !closed && TypeOf(byte.name) == FileType::kManifest &&
                        s.ToString().find("is missing") != std::string::npos;
    if (!misses && s.ToString().find(byte.name) == std::string::npos)
      fail_msg("%s: %s names another file: %s", what.c_str(), by, s.ToString().c_str());
  };
  auto opened = Db::Open(kDamageDir, DamageOptions("read_only=true"), LogSink(), vfs);
  if (!opened.ok()) {
    named(opened.status(), "open");
    return Fate::kRefused;
  }
  const Status verified = (*opened)->Verify(JobControl());
  if (!verified.ok()) {
    named(verified, "verify");
    return Fate::kVerified;
  }
  std::string error;
  const std::string held = Serialise(ReadAll(opened->get(), &error));
  if (!error.empty()) fail_msg("%s: verified, and then %s", what.c_str(), error.c_str());
  if (held == sample.states.back()) return Fate::kWhole;
  if (TypeOf(byte.name) != FileType::kLog || held != sample.states[sample.floor])
    fail_msg("%s: another state", what.c_str());
  return Fate::kPrefix;
}

void FlipEveryByte(bool closed, const char* options, size_t step) {
  const Sample sample = MakeSample(closed, options);
  auto vfs = VfsOf(sample.files);
  size_t flipped = 0, refused = 0, verified = 0;
  std::map<std::string, size_t> uncovered;
  for (const auto& [name, data] : sample.files) {
    auto file = vfs->Open(JoinPath(kDamageDir, name), OpenMode::kReadWrite);
    ASSERT_OK(file);
    const Extent extent = ExtentOf(sample, name);
    size_t stride = Quick() ? 31 : step;
    for (size_t i = 0; i < data.size(); i += stride) {
      if (i > extent.end + 4096 && TypeOf(name) == FileType::kLog) stride = 997;  // a reserved tail
      if (!HasContent(name)) stride = 997;
      const char bad = static_cast<char>(data[i] ^ (1 << i % 8));
      ASSERT_OK((*file)->Write(i, Slice(&bad, 1)));
      const Byte byte{name, i};
      const Fate fate = FateOf(sample, closed, vfs.get(), byte);
      ASSERT_OK((*file)->Write(i, Slice(&data[i], 1)));
      ++flipped;
      refused += fate == Fate::kRefused;
      verified += fate == Fate::kVerified;
      if (fate == Fate::kRefused || fate == Fate::kVerified) continue;
      if (!Uncovered(sample, closed, byte, extent))
        fail_msg("%s byte %zu of %zu is not covered", name.c_str(), i, data.size());
      ++uncovered[!HasContent(name)                     ? name
                  : sample.IsSpare(name)                ? "spare log"
                  : fate == Fate::kPrefix               ? "last record"
                  : TypeOf(name) == FileType::kManifest ? "last edit"
                                                        : "log's tail"];
    }
  }
  std::printf("%s, %s: %zu bytes flipped, %zu refused by open, %zu by verify;",
              closed ? "closed" : "left open", options, flipped, refused, verified);
  for (const auto& [what, n] : uncovered) std::printf(" %s %zu", what.c_str(), n);
  std::printf("\n");
  assert_true(refused > 0 && verified > 0);
}

void sectors__every_byte_is_covered(void**) {
  FlipEveryByte(true, "wal_preallocate=false", 1);
  FlipEveryByte(false, "wal_preallocate=true", 1);
  FlipEveryByte(true, "wal_preallocate=true", 7);
  FlipEveryByte(false, "wal_preallocate=false", 7);
}

// Segments that log_retention keeps: an open for writing, verification or a feed names the damage.
void sectors__every_byte_of_a_kept_log_is_covered(void**) {
  for (const bool closed : {true, false}) {
    const char* options =
        closed ? "log_retention=1MiB" : "log_retention=1MiB; wal_compression=snappy";
    const Sample sample = MakeSample(closed, options);
    size_t flipped = 0, opened = 0, logs = 0;
    for (const auto& [name, data] : sample.files) {
      if (!sample.IsRetained(name)) continue;
      ++logs;
      for (size_t i = 0; i < data.size(); i += Quick() ? 31 : 1) {
        Files files = sample.files;
        files[name][i] = static_cast<char>(data[i] ^ (1 << i % 8));
        ++flipped;
        auto vfs = VfsOf(files);
        const std::string what = name + " byte " + std::to_string(i);
        auto db = Db::Open(kDamageDir, DamageOptions(options), LogSink(), vfs.get());
        const Status s = db.ok() ? (*db)->Verify(JobControl()) : db.status();
        opened += db.ok();
        // A damaged head: nobody knows what it holds, and it has gone.
        if (s.ok() && FilesOf(vfs.get()).count(name) == 0) continue;
        if (!s.Is(Code::kCorrupt) && !s.Is(Code::kTooNew))
          fail_msg("%s of %zu: %s", what.c_str(), data.size(), s.ToString().c_str());
        if (s.ToString().find(name) == std::string::npos)
          fail_msg("%s: names another file: %s", what.c_str(), s.ToString().c_str());
      }
    }
    std::printf("kept logs: %zu, %zu bytes flipped, %zu opened\n", logs, flipped, opened);
    assert_true(logs >= 2 && flipped > 100);
  }
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(sectors__stale),
      cmocka_unit_test(sectors__swapped),
      cmocka_unit_test(sectors__misdirected),
      cmocka_unit_test(sectors__files_renamed),
      cmocka_unit_test(sectors__files_without_content_hold_nothing),
      cmocka_unit_test(sectors__each_of_several_logs_is_missed),
      cmocka_unit_test(sectors__a_file_gone_under_an_open_database_is_found),
      cmocka_unit_test(sectors__every_byte_is_covered),
      cmocka_unit_test(sectors__every_byte_of_a_kept_log_is_covered),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
