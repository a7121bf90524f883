// CrashHarness: a database on a RecordingVfs, a history of its commits, and the judge of what a
// crash left.
//
// Each commit is noted with its sequence number and what it changes. Acknowledgements that promise
// durability set mark 0 to their sequence. A crash state is judged by opening it: what it holds
// must be the state after exactly one commit M, and M must not be before the mark. Then it must
// verify, take a write, and hold both after another open. States are opened on a recording file
// system again, so that crashes during the recovery of a crash are judged the same way, to any
// depth. A state counts once: by the bytes of its files and its mark. The clock of a judged
// recovery stands still and its random numbers follow from those bytes, so that equal disks recover
// equally. Threads: Note and the writing helpers from any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "db/db.h"
#include "support/clock_vfs.h"
#include "support/crash_states.h"
#include "support/unit_test.h"

namespace kist::test {

// keyspace name -> key -> value
using Contents = std::map<std::string, std::map<std::string, std::string>>;

struct Change {
  enum Kind { kPut, kDelete, kDeleteRange, kCreate, kDrop } kind = kPut;
  std::string keyspace, key, value;  // value: the end of a range
};

class CrashHarness {
 public:
  CrashHarness(const char* name, const char* options);
  ~CrashHarness();

  Db* db() { return db_.get(); }
  RecordingVfs* vfs() { return &vfs_; }
  void Open();
  void Close();
  void Reopen() {
    Close();
    Open();
  }
  RefPtr<Keyspace> Ks(const std::string& name);
  void Put(const std::string& ks, const std::string& key, const std::string& value, Durability d,
           int64_t ttl_ms = 0);
  void Delete(const std::string& ks, const std::string& key, Durability d);
  void DeleteRange(const std::string& ks, const std::string& begin, const std::string& end,
                   Durability d);
  void Batch(const std::vector<Change>& changes, Durability d);
  void CreateKeyspace(const std::string& name);
  void DropKeyspace(const std::string& name);
  void Sync();

  // Time passes for the database. States are judged ten minutes after the beginning.
  void AdvanceMs(uint64_t ms) { clock_.AdvanceMs(ms); }
  // A transaction of these changes, which reads the first key before.
  void Transaction(const std::vector<Change>& changes, Durability d);

  struct Limits {
    uint64_t states = 2000;  // in all; a third of them, if there are as many, of the trace itself
    int depth = 1;           // crashes of a recovery, of that recovery's recovery, and so on
    int random_subsets = 4;  // of pending units, at each boundary of the trace
    bool garbage = false;    // new regions with garbage in them too
    uint64_t seed = 1;
  };
  struct Report {
    std::vector<uint64_t> states;  // distinct ones, by depth: of the trace, of its recoveries, ...
    uint64_t all = 0;
    uint64_t violations = 0;
    std::string first;  // the first violation
  };
  // Closes nothing: the trace so far is judged.
  Report Judge(const Limits& limits);

 private:
  void Note(Sequence seq, const std::vector<Change>& changes, Durability d);
  void BuildStates();
  // Opens the image, which must hold what commit *recovered left, at or after the mark. Then it
  // must verify, take a write and be opened again, unless `bare`. "" or what is wrong.
  std::string JudgeImage(Vfs* image, uint64_t hash, uint64_t mark, bool bare);
  std::string JudgeAgain(std::unique_ptr<Db> db, Vfs* vfs, const std::string& held);
  // Counts and judges a state that is new. False after a violation.
  bool JudgeState(const CrashState& state, uint64_t mark, const std::string& outer, size_t depth);
  void Deeper(const CrashState& state, uint64_t mark, const std::string& outer, size_t depth);

  const std::string name_;
  OptionSet set_;
  RecordingVfs vfs_;
  ClockVfs clock_{&vfs_};
  std::unique_ptr<Db> db_;
  std::map<std::string, RefPtr<Keyspace>> keyspaces_;
  std::mutex mutex_;
  std::map<Sequence, std::vector<Change>> history_;
  Sequence marked_ = 0;
  std::map<std::string, std::vector<Sequence>>
      states_;  // serialised contents -> commits after which they held
  Limits limits_;
  Report report_;
  std::unordered_set<uint64_t> seen_;
};

std::string Serialise(const Contents& contents);
// What the database holds, by scans in both directions and by gets; aborts the test where they
// disagree.
Contents ReadAll(Db* db, std::string* error);

}  // namespace kist::test
