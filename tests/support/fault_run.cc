// FaultRun out of line. See fault_run.h.
#include "support/fault_run.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "backup/backup.h"
#include "backup/checkpoint.h"
#include "backup/stream.h"

namespace kist::test {
namespace {

constexpr unsigned kHangSeconds = 60;
char g_doing[256];  // of the run at hand, for the signal handler

void Hung(int) {
  const ssize_t n = write(STDERR_FILENO, g_doing, std::strlen(g_doing));
  _exit(n < 0 ? 98 : 99);
}

void Apply(const Change& c, Contents* contents) {
  auto& map = (*contents)[c.keyspace];
  switch (c.kind) {
    case Change::kPut:
      map[c.key] = c.value;
      break;
    case Change::kDelete:
      map.erase(c.key);
      break;
    case Change::kDeleteRange:
      map.erase(map.lower_bound(c.key), c.value.empty() ? map.end() : map.lower_bound(c.value));
      break;
    case Change::kCreate:
      break;
    case Change::kDrop:
      contents->erase(c.keyspace);
      break;
  }
}

class WatchFile : public WrapFile {
 public:
  WatchFile(WatchVfs* vfs, std::unique_ptr<File> base, std::string path)
      : WrapFile(std::move(base)), vfs_(vfs), path_(std::move(path)) {}
  Status Write(uint64_t offset, Slice data) override {
    return Noted('w', base_->Write(offset, data));
  }
  Status WriteV(uint64_t offset, const Slice* parts, size_t count) override {
    return Noted('w', base_->WriteV(offset, parts, count));
  }
  Status Sync() override { return Noted('s', base_->Sync()); }
  Status Truncate(uint64_t size) override { return Noted('t', base_->Truncate(size)); }
  Status Preallocate(uint64_t size) override { return Noted('p', base_->Preallocate(size)); }

 private:
  Status Noted(char what, Status s) {
    vfs_->Note(what, path_, s);
    return s;
  }
  WatchVfs* const vfs_;
  const std::string path_;
};

}  // namespace

void WatchDog(const std::string& what) {
  std::snprintf(g_doing, sizeof g_doing, "hung: %s\n", what.c_str());
  signal(SIGALRM, Hung);
  alarm(kHangSeconds);
}

Result<std::unique_ptr<File>> WatchVfs::Open(const std::string& path, OpenMode mode) {
  auto file = base_->Open(path, mode);
  if (mode == OpenMode::kCreateNew || mode == OpenMode::kCreateOrTruncate) {
    Note('c', path, file.status());
  }
  if (!file.ok()) return std::move(file).status();
  return std::unique_ptr<File>(std::make_unique<WatchFile>(this, file.Take(), path));
}

FaultRun::FaultRun(Vfs* base, const std::string& options, std::string what)
    : what_(std::move(what)), faults_(base, true), watch_(&faults_) {
  const Status s =
      set_.Parse("memory_budget=4MiB; cache_size=64KiB; write_buffer_size=64KiB; " + options);
  if (!s.ok()) Wrong("options: " + s.ToString());
  WatchDog(what_);
}

FaultRun::~FaultRun() {
  if (db_ != nullptr) static_cast<void>(Close());
  alarm(0);
}

void FaultRun::Wrong(const std::string& message) {
  std::fprintf(stderr, "%s: %s\n", what_.c_str(), message.c_str());
  if (std::getenv("KIST_FAULT_CALLS") != nullptr) {
    for (const auto& c : watch_.calls())
      std::fprintf(stderr, "  %c %s%s\n", c.what, c.path.c_str(), c.ok ? "" : " failed");
  }
  std::abort();
}

Status FaultRun::Open() {
  auto opened = Db::Open(kFaultDir, set_, LogSink(), &watch_);
  if (opened.ok()) db_ = opened.Take();
  return opened.status();
}

Status FaultRun::Close() {
  keyspaces_.clear();
  const bool poisoned = this->poisoned();
  Status s = db_->Close();
  db_.reset();
  if (s.ok()) killed_floor_ = power_floor_ = commits_.size();
  if (poisoned && !s.Is(Code::kPoisoned)) Wrong("close of a poisoned database: " + s.ToString());
  return s;
}

Keyspace* FaultRun::Ks(const std::string& name) {
  auto& ks = keyspaces_[name];
  if (!ks) {
    auto opened = db_->OpenKeyspace(name, KeyspaceMode::kOpen, nullptr);
    if (!opened.ok()) {
      keyspaces_.erase(name);
      return nullptr;
    }
    ks = opened.Take();
  }
  return ks.get();
}

Status FaultRun::Told(Status s, const std::vector<Change>& changes, Durability d,
                      bool was_poisoned) {
  const bool doubt = !s.ok() && !was_poisoned && poisoned() && !s.Is(Code::kPoisoned);
  if (s.ok() || doubt) {
    commits_.push_back({changes, s.ok() ? Fate::kAcknowledged : Fate::kInDoubt});
    newest_ = std::max(newest_, db_->last_seq()) + (doubt ? 1 : 0);
  }
  if (s.ok() && d != Durability::kBuffered) killed_floor_ = commits_.size();
  if (s.ok() && d == Durability::kSync) power_floor_ = commits_.size();
  if (s.ok() && was_poisoned) Wrong("a poisoned database took a commit");
  return s;
}

Status FaultRun::Put(const std::string& ks, const std::string& key, const std::string& value,
                     Durability d) {
  Keyspace* k = Ks(ks);
  if (k == nullptr) return Status::Bare(Code::kMissing);
  const bool was = poisoned();
  return Told(db_->Put(k, d, key, value, 0, nullptr), {{Change::kPut, ks, key, value}}, d, was);
}

Status FaultRun::Delete(const std::string& ks, const std::string& key, Durability d) {
  Keyspace* k = Ks(ks);
  if (k == nullptr) return Status::Bare(Code::kMissing);
  const bool was = poisoned();
  return Told(db_->Delete(k, d, key, nullptr), {{Change::kDelete, ks, key, ""}}, d, was);
}

Status FaultRun::DeleteRange(const std::string& ks, const std::string& begin,
                             const std::string& end, Durability d) {
  Keyspace* k = Ks(ks);
  if (k == nullptr) return Status::Bare(Code::kMissing);
  const bool was = poisoned();
  return Told(db_->DeleteRange(k, d, begin, end, nullptr), {{Change::kDeleteRange, ks, begin, end}},
              d, was);
}

Status FaultRun::Batch(const std::vector<Change>& changes, Durability d) {
  BatchBuilder batch;
  for (const Change& c : changes) {
    Keyspace* k = Ks(c.keyspace);
    if (k == nullptr) return Status::Bare(Code::kMissing);
    const uint32_t id = k->id();
    Status s = c.kind == Change::kPut ? batch.Put(id, c.key, c.value, 0) : batch.Delete(id, c.key);
    if (!s.ok()) Wrong("batch: " + s.ToString());
  }
  std::string bytes(batch.data());
  WriteRequest r;
  r.durability = d;
  r.batch = bytes.data();
  r.batch_bytes = bytes.size();
  r.summary = batch.summary();
  const bool was = poisoned();
  return Told(db_->Write(&r, nullptr), changes, d, was);
}

Status FaultRun::Transaction(const std::vector<Change>& changes, Durability d) {
  auto txn = db_->NewTxn(true);
  if (!txn.ok()) return txn.status();
  for (const Change& c : changes) {
    Keyspace* k = Ks(c.keyspace);
    if (k == nullptr) return Status::Bare(Code::kMissing);
    const Status s =
        c.kind == Change::kPut ? (*txn)->Put(k, c.key, c.value, 0) : (*txn)->Delete(k, c.key);
    if (!s.ok()) Wrong("transaction: " + s.ToString());
  }
  const bool was = poisoned();
  return Told((*txn)->Commit(d, nullptr), changes, d, was);
}

Status FaultRun::CreateKeyspace(const std::string& name) {
  const bool was = poisoned();
  return Told(db_->OpenKeyspace(name, KeyspaceMode::kCreateNew, nullptr).status(),
              {{Change::kCreate, name, "", ""}}, Durability::kSync, was);
}

Status FaultRun::ChangeKeyspace(const std::string& name, const char* options) {
  OptionSet set;
  const Status parsed = set.Parse(options);
  if (!parsed.ok()) Wrong("options: " + parsed.ToString());
  return db_->OpenKeyspace(name, KeyspaceMode::kOpen, &set).status();
}

bool FaultRun::Has(const std::string& keyspace) {
  const auto names = db_->ListKeyspaces();
  return std::count(names.begin(), names.end(), keyspace) != 0;
}

Status FaultRun::DropKeyspace(const std::string& name) {
  const bool was = poisoned();
  const Status s =
      Told(db_->DropKeyspace(name), {{Change::kDrop, name, "", ""}}, Durability::kSync, was);
  if (s.ok()) keyspaces_.erase(name);
  return s;
}

Status FaultRun::Flush() {
  Status s = db_->Flush();
  if (s.ok()) killed_floor_ = power_floor_ = commits_.size();
  return s;
}

Status FaultRun::Compact() {
  return db_->Compact(db_->DefaultKeyspace().get(), Slice(), Slice(), JobControl());
}

Status FaultRun::Sync() {
  Status s = db_->Sync();
  if (s.ok()) killed_floor_ = power_floor_ = commits_.size();
  return s;
}

std::string FaultRun::Visible() const {
  Contents contents;
  contents["default"];
  for (const Commit& c : commits_) {
    if (c.fate != Fate::kAcknowledged) continue;
    for (const Change& change : c.changes) Apply(change, &contents);
  }
  return Serialise(contents);
}

void FaultRun::CheckVisible() {
  std::string error;
  const std::string held = Serialise(ReadAll(db_.get(), &error));
  if (!error.empty()) Wrong("reading the open database: " + error);
  if (held != Visible())
    Wrong("the open database does not show exactly what was acknowledged:\n" + held + "\n" +
          Visible());
}

void FaultRun::CheckPoisoned() {
  // A job that was at work when the failure came may still end; none begins.
  while (db_->Stat("background_running").value_or(0) != 0) usleep(500);
  const auto must = [&](const Status& s, const char* doing) {
    if (!s.Is(Code::kPoisoned))
      Wrong(std::string(doing) + " on a poisoned database: " + s.ToString());
  };
  const size_t before = commits_.size();
  must(Put("default", "poisoned", "1", Durability::kOs), "put");
  must(Put("default", "poisoned", "1", Durability::kSync), "synced put");
  must(Put("default", "poisoned", "1", Durability::kBuffered), "buffered put");
  must(Delete("default", "key", Durability::kSync), "delete");
  must(DeleteRange("default", "a", "z", Durability::kOs), "delete of a range");
  must(Batch({{Change::kPut, "default", "poisoned", "2"}}, Durability::kSync), "batch");
  must(Transaction({{Change::kPut, "default", "poisoned", "3"}}, Durability::kOs), "transaction");
  must(db_->Flush(), "flush");
  must(Compact(), "compact");
  must(db_->Sync(), "sync");
  must(db_->OpenKeyspace("poisoned", KeyspaceMode::kCreate, nullptr).status(), "new keyspace");
  for (const std::string& name : db_->ListKeyspaces()) {
    if (name == "default") continue;
    must(DropKeyspace(name), "drop of a keyspace");
    must(ChangeKeyspace(name, "default_ttl=123h"), "change of a keyspace");
  }
  // What cannot be known to be on the disk is not copied, and nothing is left of the attempt.
  MemoryVfs elsewhere;
  must(MakeCheckpoint(db_.get(), &elsewhere, "/copy", nullptr), "checkpoint");
  if (elsewhere.Stat("/copy").ok()) Wrong("a refused checkpoint left its directory");
  auto target = OpenTarget(&elsewhere, "/target", true);
  if (!target.ok()) Wrong("target: " + target.status().ToString());
  must(MakeBackup(db_.get(), target->get(), JobControl(), nullptr), "backup");
  must(Stream::Start(db_.get(), target.Take(), StreamOptions()).status(), "stream");
  if (commits_.size() != before) Wrong("a refused commit counts");
  CheckVisible();
}

std::set<std::string> FaultRun::Allowed(bool power_cut) const {
  std::set<std::string> states;
  Contents contents;
  contents["default"];
  const size_t floor = power_cut ? power_floor_ : killed_floor_;
  if (floor == 0) states.insert(Serialise(contents));
  for (size_t i = 0; i < commits_.size(); ++i) {
    for (const Change& change : commits_[i].changes) Apply(change, &contents);
    if (i + 1 >= floor) states.insert(Serialise(contents));
  }
  return states;
}

void FaultRun::CheckReopened(Vfs* vfs, bool power_cut) {
  const char* when = power_cut ? "after a power cut: " : "reopened: ";
  auto opened = Db::Open(kFaultDir, set_, LogSink(), vfs);
  if (!opened.ok()) Wrong(when + opened.status().ToString());
  Db* db = opened->get();
  std::string error;
  const std::string held = Serialise(ReadAll(db, &error));
  if (!error.empty()) Wrong(when + error);
  const auto allowed = Allowed(power_cut);
  if (allowed.count(held) == 0) Wrong(when + ("the state is not one that may be: " + held));
  Status s = db->Verify(JobControl());
  if (!s.ok()) Wrong(when + ("verify: " + s.ToString()));
  Sequence seq = 0;
  s = db->Put(db->DefaultKeyspace().get(), Durability::kSync, "~after", "it", 0, &seq);
  if (!s.ok()) Wrong(when + ("a write: " + s.ToString()));
  if (!power_cut && seq <= newest_)
    Wrong("commit number " + std::to_string(seq) + " is used again");
  if (!(s = db->Close()).ok()) Wrong(when + ("close: " + s.ToString()));
}

void FaultRun::CheckPowerCuts(RecordingVfs* recording, uint64_t most) {
  CrashOptions co;
  co.first_boundary = co.last_boundary = recording->op_count();
  co.random_subsets = 2;
  co.units_max = 12;
  co.torn_max = 2;
  const Trace trace = recording->GetTrace();
  const uint64_t total = CrashStates(trace, co).ForEach([](const CrashState&) { return true; });
  co.shards = static_cast<uint32_t>(std::max<uint64_t>(1, total / std::max<uint64_t>(1, most)));
  CrashStates(trace, co).ForEach([&](const CrashState& state) {
    auto image = state.MakeVfs();
    CheckReopened(image.get(), true);
    return true;
  });
}

}  // namespace kist::test
