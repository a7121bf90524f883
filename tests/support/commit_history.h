// CommitHistory: a random history of one database, with what it held after each commit. For the
// tests of copies, which must be the state after exactly one of them. Threads: one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "support/crash_harness.h"

namespace kist::test {

class CommitHistory {
 public:
  explicit CommitHistory(uint64_t seed) : rng_(seed) { Remember(0); }

  // The database that the next steps change; one that continues this history.
  void Use(Db* db) { db_ = db; }
  // One commit, or a flush or compaction now and then.
  void Step();
  void Steps(int n) {
    for (int i = 0; i < n; ++i) Step();
  }
  void Put();  // one commit: a key of the default keyspace; never a flush
  Rng& rng() { return rng_; }
  Sequence last() const { return states_.rbegin()->first; }
  // What it held after the commit `seq`; the newest one at or before it.
  const std::string& At(Sequence seq) const { return std::prev(states_.upper_bound(seq))->second; }
  const std::map<Sequence, std::string>& states() const { return states_; }
  // Goes back to the state after `seq`: what came later never happened.
  void Rewind(Sequence seq);

 private:
  void Remember(Sequence seq) {
    contents_["default"];
    states_[seq] = Serialise(contents_);
    by_seq_[seq] = contents_;
  }
  RefPtr<Keyspace> Ks(const std::string& name);
  std::string Key() { return "k" + std::to_string(rng_.Below(40)); }

  Rng rng_;
  Db* db_ = nullptr;
  Contents contents_;
  std::map<Sequence, std::string> states_;
  std::map<Sequence, Contents> by_seq_;
};

// What an open database holds, serialised; aborts the test where it cannot be read.
std::string Dump(Db* db);
// Opens, dumps, verifies and closes the database at `path`.
std::string DumpAt(Vfs* vfs, const std::string& path, Sequence* last_seq = nullptr);

}  // namespace kist::test
