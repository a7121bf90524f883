// Steps of a random history, on the database and on the model.
#include "support/commit_history.h"

#include <cstdio>
#include <cstdlib>

namespace kist::test {
namespace {

void Must(const Status& s, const char* what) {
  if (s.ok()) return;
  std::fprintf(stderr, "%s: %s\n", what, s.ToString().c_str());
  std::abort();
}

}  // namespace

RefPtr<Keyspace> CommitHistory::Ks(const std::string& name) {
  auto ks = db_->OpenKeyspace(name, KeyspaceMode::kOpen, nullptr);
  Must(ks.status(), "keyspace");
  return ks.Take();
}

void CommitHistory::Rewind(Sequence seq) {
  contents_ = std::prev(by_seq_.upper_bound(seq))->second;
  states_.erase(states_.upper_bound(seq), states_.end());
  by_seq_.erase(by_seq_.upper_bound(seq), by_seq_.end());
}

void CommitHistory::Step() {
  const uint64_t dice = rng_.Below(100);
  if (dice < 3) return Must(db_->Flush(), "flush");
  if (dice < 4) return Must(db_->Compact(Ks("default").get(), Slice(), Slice(), {}), "compact");
  const bool second = contents_.count("second") != 0;
  if (dice < 6) {
    if (second) {
      Must(db_->DropKeyspace("second"), "drop");
      contents_.erase("second");
    } else {
      Must(db_->OpenKeyspace("second", KeyspaceMode::kCreateNew, nullptr).status(), "create");
      contents_["second"];
    }
    return Remember(db_->last_seq());
  }
  const std::string name = second && rng_.OneIn(3) ? "second" : "default";
  auto& map = contents_[name];
  auto ks = Ks(name);
  const Durability d = rng_.OneIn(4)   ? Durability::kSync
                       : rng_.OneIn(2) ? Durability::kBuffered
                                       : Durability::kOs;
  Sequence seq = 0;
  if (dice < 20) {
    const std::string key = Key();
    Must(db_->Delete(ks.get(), d, key, &seq), "delete");
    map.erase(key);
  } else if (dice < 25) {
    std::string begin = Key(), end = Key();
    if (end < begin) std::swap(begin, end);
    if (begin == end) end += "0";
    Must(db_->DeleteRange(ks.get(), d, begin, end, &seq), "delete range");
    map.erase(map.lower_bound(begin), map.lower_bound(end));
  } else {
    const std::string key = Key();
    const std::string value = rng_.Bytes(rng_.OneIn(10) ? 3000 : rng_.Below(60), 'a', 26);
    Must(db_->Put(ks.get(), d, key, value, 0, &seq), "put");
    map[key] = value;
  }
  Remember(seq);
}

void CommitHistory::Put() {
  Sequence seq = 0;
  const std::string key = Key(), value = rng_.Bytes(rng_.Below(60), 'a', 26);
  Must(db_->Put(Ks("default").get(), Durability::kOs, key, value, 0, &seq), "put");
  contents_["default"][key] = value;
  Remember(seq);
}

std::string Dump(Db* db) {
  std::string error;
  const Contents contents = ReadAll(db, &error);
  if (!error.empty()) {
    std::fprintf(stderr, "reading a copy: %s\n", error.c_str());
    std::abort();
  }
  return Serialise(contents);
}

std::string DumpAt(Vfs* vfs, const std::string& path, Sequence* last_seq) {
  OptionSet options;
  Must(options.Parse("memory_budget=4MiB; create_if_missing=false"), "options");
  auto db = Db::Open(path, options, LogSink(), vfs);
  Must(db.status(), path.c_str());
  std::string dump = Dump(db->get());
  Must((*db)->Verify({}), "verify");
  if (last_seq != nullptr) *last_seq = (*db)->last_seq();
  Must((*db)->Close(), "close");
  return dump;
}

}  // namespace kist::test
