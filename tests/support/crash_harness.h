// CrashHarness: a database on a RecordingVfs, a history of its commits, and the judge of what a
// crash left.
//
// Each commit is noted with its sequence number and what it changes. Acknowledgements that promise
// durability set mark 0 to their sequence. A crash state is judged by opening it: what it holds
// must be the state after exactly one commit M, and M must not be before the mark. Then it must
// verify, take a write, and hold both after another open. States are opened on a recording file
// system again, so that crashes during the recovery of a crash are judged the same way, to any
// depth. Threads: Note and the writing helpers from any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "db/db.h"
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

  struct Limits {
    uint64_t states = 2000;  // of the whole trace, spread evenly
    uint64_t deeper =
        0;  // of states whose recovery is crashed again, and of those again, to `depth`
    int depth = 1;
    uint64_t seed = 1;
  };
  struct Report {
    uint64_t states = 0;
    uint64_t deeper_states = 0;
    uint64_t violations = 0;
    std::string first;  // the first violation
  };
  // Closes nothing: the trace so far is judged.
  Report Judge(const Limits& limits);

 private:
  void Note(Sequence seq, const std::vector<Change>& changes, Durability d);
  void BuildStates();
  // Judges one image; returns "" or what is wrong. *recovered: the commit that it holds.
  std::string JudgeImage(RecordingVfs* image, uint64_t mark, bool thorough, Sequence* recovered);
  void Deeper(const CrashState& state, uint64_t mark, const std::string& outer,
              const Limits& limits, int depth, Report* report);

  const std::string name_;
  OptionSet set_;
  RecordingVfs vfs_;
  std::unique_ptr<Db> db_;
  std::map<std::string, RefPtr<Keyspace>> keyspaces_;
  std::mutex mutex_;
  std::map<Sequence, std::vector<Change>> history_;
  Sequence marked_ = 0;
  std::map<std::string, std::vector<Sequence>>
      states_;  // serialised contents -> commits after which they held
};

std::string Serialise(const Contents& contents);
// What the database holds, by scans in both directions and by gets; aborts the test where they
// disagree.
Contents ReadAll(Db* db, std::string* error);

}  // namespace kist::test
