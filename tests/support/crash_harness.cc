// Running a history, turning it into expected states, and
// judging what each crash state recovers to. Every check ends
// in a message that names the state, so that it can be made
// again.
#include "support/crash_harness.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "util/hash.h"

namespace kist::test {
namespace {

constexpr char kDir[] = "/db";
constexpr int64_t kStartMs = 1700000000000;
constexpr int64_t kJudgeMs = kStartMs + 600 * 1000;
constexpr uint64_t kDeeperEvery = 150;  // of the states of a crashed recovery, crashed again

// What judged recoveries run on: the same clock and, for the same image, the same random numbers.
class JudgeVfs : public ClockVfs {
 public:
  JudgeVfs(Vfs* base, uint64_t seed) : ClockVfs(base, kJudgeMs), random_(seed) {}
  void Random(void* buf, size_t n) override {
    std::lock_guard<std::mutex> lock(mutex_);
    for (size_t i = 0; i < n; ++i) static_cast<char*>(buf)[i] = static_cast<char>(random_());
  }

 private:
  std::mutex mutex_;
  std::mt19937_64 random_;
};

void Must(const Status& s, const char* what) {
  if (s.ok()) return;
  std::fprintf(stderr, "%s: %s\n", what, s.ToString().c_str());
  std::abort();
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

}  // namespace

std::string Serialise(const Contents& contents) {
  std::string s;
  for (const auto& [name, map] : contents) {
    s += "[" + name + "]";
    for (const auto& [k, v] : map)
      s += std::to_string(k.size()) + ":" + k + "=" + std::to_string(v.size()) + ":" + v + ";";
  }
  return s;
}

Contents ReadAll(Db* db, std::string* error) {
  Contents out;
  for (const std::string& name : db->ListKeyspaces()) {
    auto ks = db->OpenKeyspace(name, KeyspaceMode::kOpen, nullptr);
    if (!ks.ok()) return *error = "keyspace '" + name + "': " + ks.status().ToString(), out;
    auto& map = out[name];
    auto it = db->NewIterator(ks->get(), IterOptions());
    if (!it.ok()) return *error = "iterator: " + it.status().ToString(), out;
    size_t forwards = 0, backwards = 0;
    for ((*it)->SeekToFirst(); (*it)->on(); (*it)->Next(), ++forwards)
      map[std::string((*it)->key())] = std::string((*it)->value());
    if (!(*it)->status().ok()) return *error = "scan: " + (*it)->status().ToString(), out;
    for ((*it)->SeekToLast(); (*it)->on(); (*it)->Prev(), ++backwards) {
      auto f = map.find(std::string((*it)->key()));
      if (f == map.end() || f->second != (*it)->value())
        return *error = "the scan backwards differs", out;
    }
    if (forwards != map.size() || backwards != forwards)
      return *error = "a scan misses or repeats keys", out;
    for (const auto& [k, v] : map) {
      Epoch::Guard guard(db->epoch());
      ReadFound found;
      Status s = db->Get(ks->get(), nullptr, k, true, &found);
      if (!s.ok() || !found.found || found.value != v)
        return *error = "get differs from the scan: " + s.ToString(), out;
    }
  }
  return out;
}

CrashHarness::CrashHarness(const char* name, const char* options) : name_(name) {
  Must(set_.Parse(std::string("memory_budget=4MiB; cache_size=256KiB; ") + options), "options");
  Open();
}

CrashHarness::~CrashHarness() {
  if (db_ != nullptr) Close();
}

void CrashHarness::Open() {
  auto db = Db::Open(kDir, set_, LogSink(), &clock_);
  Must(db.status(), "open");
  db_ = db.Take();
  std::lock_guard<std::mutex> lock(mutex_);
  if (history_.empty()) {  // the first open is an acknowledgement of the empty database
    history_[0] = {};
    vfs_.Mark(1, 1);
  }
}

void CrashHarness::Close() {
  keyspaces_.clear();
  Must(db_->Close(), "close");
  db_.reset();
  std::lock_guard<std::mutex> lock(mutex_);
  if (!history_.empty() && history_.rbegin()->first > marked_)
    vfs_.Mark(marked_ = history_.rbegin()->first);
}

RefPtr<Keyspace> CrashHarness::Ks(const std::string& name) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto& ks = keyspaces_[name];
  if (!ks) {
    auto opened = db_->OpenKeyspace(name, KeyspaceMode::kOpen, nullptr);
    Must(opened.status(), "keyspace");
    ks = opened.Take();
  }
  return ks;
}

void CrashHarness::Note(Sequence seq, const std::vector<Change>& changes, Durability d) {
  std::lock_guard<std::mutex> lock(mutex_);
  history_[seq] = changes;
  if (d == Durability::kSync && seq > marked_) vfs_.Mark(marked_ = seq);
}

void CrashHarness::Put(const std::string& ks, const std::string& key, const std::string& value,
                       Durability d, int64_t ttl_ms) {
  Sequence seq = 0;
  Must(db_->Put(Ks(ks).get(), d, key, value, ttl_ms, &seq), "put");
  // What has expired when it is judged hides older versions exactly like a delete.
  const bool expires = ttl_ms > 0 && clock_.WallMs() + ttl_ms <= kJudgeMs;
  Note(seq, {{expires ? Change::kDelete : Change::kPut, ks, key, value}}, d);
}

void CrashHarness::Delete(const std::string& ks, const std::string& key, Durability d) {
  Sequence seq = 0;
  Must(db_->Delete(Ks(ks).get(), d, key, &seq), "delete");
  Note(seq, {{Change::kDelete, ks, key, ""}}, d);
}

void CrashHarness::DeleteRange(const std::string& ks, const std::string& begin,
                               const std::string& end, Durability d) {
  Sequence seq = 0;
  Must(db_->DeleteRange(Ks(ks).get(), d, begin, end, &seq), "delete_range");
  Note(seq, {{Change::kDeleteRange, ks, begin, end}}, d);
}

void CrashHarness::Batch(const std::vector<Change>& changes, Durability d) {
  BatchBuilder batch;
  for (const Change& c : changes) {
    const uint32_t id = Ks(c.keyspace)->id();
    if (c.kind == Change::kPut) Must(batch.Put(id, c.key, c.value, 0), "batch");
    if (c.kind == Change::kDelete) Must(batch.Delete(id, c.key), "batch");
    if (c.kind == Change::kDeleteRange) Must(batch.DeleteRange(id, c.key, c.value), "batch");
  }
  WriteRequest r;
  r.durability = d;
  std::string bytes(batch.data());
  r.batch = bytes.data();
  r.batch_bytes = bytes.size();
  r.summary = batch.summary();
  Sequence seq = 0;
  Must(db_->Write(&r, &seq), "write");
  Note(seq, changes, d);
}

void CrashHarness::Transaction(const std::vector<Change>& changes, Durability d) {
  std::unique_ptr<Txn> txn = db_->NewTxn(true).Take();
  {
    Epoch::Guard guard(db_->epoch());
    ReadFound found;
    Must(txn->Get(Ks(changes[0].keyspace).get(), changes[0].key, true, true, &found), "txn get");
  }
  for (const Change& c : changes) {
    const RefPtr<Keyspace> ks = Ks(c.keyspace);
    if (c.kind == Change::kPut) Must(txn->Put(ks.get(), c.key, c.value, 0), "txn put");
    if (c.kind == Change::kDelete) Must(txn->Delete(ks.get(), c.key), "txn delete");
    if (c.kind == Change::kDeleteRange)
      Must(txn->DeleteRange(ks.get(), c.key, c.value), "txn delete_range");
    Must(txn->Savepoint(), "savepoint");  // what comes after it is taken back
    Must(txn->Put(ks.get(), "never", "committed", 0), "txn put");
    Must(txn->RollbackTo(), "rollback");
  }
  Sequence seq = 0;
  Must(txn->Commit(d, &seq), "commit");
  Note(seq, changes, d);
}

void CrashHarness::CreateKeyspace(const std::string& name) {
  Must(db_->OpenKeyspace(name, KeyspaceMode::kCreateNew, nullptr).status(), "create keyspace");
  Note(db_->last_seq(), {{Change::kCreate, name, "", ""}}, Durability::kSync);
}

void CrashHarness::DropKeyspace(const std::string& name) {
  keyspaces_.erase(name);
  Must(db_->DropKeyspace(name), "drop keyspace");
  Note(db_->last_seq(), {{Change::kDrop, name, "", ""}}, Durability::kSync);
}

void CrashHarness::Sync() {
  Must(db_->Sync(), "sync");
  std::lock_guard<std::mutex> lock(mutex_);
  if (history_.rbegin()->first > marked_) vfs_.Mark(marked_ = history_.rbegin()->first);
}

void CrashHarness::BuildStates() {
  Contents contents;
  contents["default"];
  for (const auto& [seq, changes] : history_) {
    for (const Change& c : changes) Apply(c, &contents);
    states_[Serialise(contents)].push_back(seq);
  }
}

std::string CrashHarness::JudgeImage(Vfs* image, uint64_t hash, uint64_t mark, bool bare) {
  JudgeVfs vfs(image, hash);
  auto opened = Db::Open(kDir, set_, LogSink(), &vfs);
  if (!opened.ok()) return "open: " + opened.status().ToString();
  std::string error;
  const std::string held = Serialise(ReadAll(opened->get(), &error));
  if (!error.empty()) return error;
  const auto it = states_.find(held);
  if (it == states_.end()) return "the state is not one that any commit left";
  const Sequence recovered = it->second.back();
  if (recovered < mark) {
    return "the state is that after commit " + std::to_string(recovered) + ", but commit " +
           std::to_string(mark) + " was promised";
  }
  return bare ? "" : JudgeAgain(opened.Take(), &vfs, held);
}

std::string CrashHarness::JudgeAgain(std::unique_ptr<Db> db, Vfs* vfs, const std::string& held) {
  Status s = db->Verify(JobControl());
  if (!s.ok()) return "verify: " + s.ToString();
  s = db->Put(db->DefaultKeyspace().get(), Durability::kSync, "~after", "crash", 0, nullptr);
  if (!s.ok()) return "a write after recovery: " + s.ToString();
  if (!(s = db->Close()).ok()) return "close: " + s.ToString();
  db.reset();
  auto again = Db::Open(kDir, set_, LogSink(), vfs);
  if (!again.ok()) return "second open: " + again.status().ToString();
  std::string error;
  Contents contents = ReadAll(again->get(), &error);
  if (!error.empty()) return "second open: " + error;
  if (contents["default"].erase("~after") != 1) return "a write after recovery was lost";
  if (Serialise(contents) != held) return "the second open differs from the first";
  return "";
}

bool CrashHarness::JudgeState(const CrashState& state, uint64_t mark, const std::string& outer,
                              size_t depth) {
  auto vfs = state.MakeVfs();
  const uint64_t hash = ContentHash(*vfs->Image());
  if (!seen_.insert(Hash64(reinterpret_cast<const char*>(&mark), sizeof mark, hash)).second)
    return true;
  ++report_.states[depth];
  ++report_.all;
  const std::string wrong = JudgeImage(vfs.get(), hash, mark, false);
  if (wrong.empty()) return true;
  if (report_.violations++ == 0)
    report_.first = name_ + ": " + outer + state.ToString() + ": " + wrong;
  return false;
}

// Recovers the state on a recording file system, crashes that recovery at every call, and judges
// what is left; then the same of some of those.
void CrashHarness::Deeper(const CrashState& state, uint64_t mark, const std::string& outer,
                          size_t depth) {
  auto recording = state.MakeRecording();
  const std::string wrong =
      JudgeImage(recording.get(), ContentHash(*recording->memory()->Image()), mark, true);
  if (!wrong.empty()) return;  // has been said
  CrashOptions co;
  co.seed = limits_.seed + state.index();
  co.random_subsets = 2;
  co.units_max = 8;
  co.torn_max = 4;
  uint64_t n = 0;
  const std::string where = outer + state.ToString() + "; then ";
  CrashStates(recording->GetTrace(), co).ForEach([&](const CrashState& inner) {
    if (!JudgeState(inner, mark, where, depth)) return false;
    if (depth < static_cast<size_t>(limits_.depth) && n++ % kDeeperEvery == state.index() % 50)
      Deeper(inner, mark, where, depth + 1);
    return report_.violations == 0 && report_.all < limits_.states;
  });
}

CrashHarness::Report CrashHarness::Judge(const Limits& limits) {
  BuildStates();
  limits_ = limits;
  report_ = Report();
  report_.states.resize(static_cast<size_t>(limits.depth) + 1);
  const Trace trace = vfs_.GetTrace();
  CrashOptions co;
  co.seed = limits.seed;
  co.random_subsets = limits.random_subsets;
  co.garbage = limits.garbage;
  const uint64_t total = CrashStates(trace, co).ForEach([](const CrashState&) { return true; });
  const uint64_t wanted = limits.depth == 0 ? limits.states : limits.states / 3;
  co.shards = static_cast<uint32_t>(std::max<uint64_t>(1, total / std::max<uint64_t>(wanted, 1)));
  co.shard = static_cast<uint32_t>(limits.seed % co.shards);
  const uint64_t outer = std::max<uint64_t>(1, total / co.shards);
  uint64_t n = 0;
  CrashStates(trace, co).ForEach([&](const CrashState& state) {
    ++n;
    if (!JudgeState(state, state.mark(), "", 0)) return false;
    // The crashed recoveries keep step, so that they are spread over the trace.
    if (limits.depth > 0 && report_.all < limits.states * n / outer)
      Deeper(state, state.mark(), "", 1);
    return report_.violations == 0;
  });
  return report_;
}

}  // namespace kist::test
