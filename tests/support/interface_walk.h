// InterfaceWalk: a seeded random walk through the C interface beside a CommitModel: values that
// expire, default TTLs and other options of keyspaces that come and go, every durability, the feed,
// snapshots, iterators and transactions, over flushes, compactions and reopening. The clock stands
// still unless the walk moves it, so that the model knows every expiry to the millisecond.
// It aborts with what differs at the first difference. Threads: one, beside the engine's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kist/kist.h"
#include "support/clock_vfs.h"
#include "support/commit_model.h"
#include "support/unit_test.h"

namespace kist::test {

// Who sleeps, sleeps: only the walk moves this clock.
class StillClockVfs : public ClockVfs {
 public:
  using ClockVfs::ClockVfs;
  void SleepUs(uint64_t us) override { base_->SleepUs(us); }
};

class InterfaceWalk {
 public:
  InterfaceWalk(uint64_t seed, const std::string& options);
  ~InterfaceWalk();
  void Run(int steps);

 private:
  struct Held {
    kist_snapshot* snapshot = nullptr;  // nullptr: the newest state
    kist_txn* txn = nullptr;
    int64_t time_ms = 0;
    ModelStates states;
  };
  struct HeldIterator {
    kist_iter* iter;
    ModelState state;
  };
  struct Space {
    uint32_t id;
    std::string name;
    kist_keyspace* handle;
  };

  // interface_walk.cc: what changes the database.
  void Open();
  void Close();
  void Reopen();
  void Step();
  void Advance();
  void OpenSpace();
  void DropSpace();
  ModelOp RandomOp();
  kist_write_options RandomWrite();
  void Written(const kist_write_options& wo, std::vector<ModelOp> ops);
  void WriteOne();
  void WriteMany(bool packed);
  void Transaction();
  void Hold();
  void LetGo(size_t most);
  void Maintain();

  // interface_check.cc: what looks.
  Held Newest() const { return {nullptr, nullptr, now_ms_, model_.states}; }
  const Held& AnyHeld(const Held& newest);
  void CheckKey(const Space& space, const Held& at, const std::string& key);
  void CheckMany(const Space& space, const Held& at);
  void CheckRange(const Space& space, const Held& at);
  void CheckAll();
  void CheckNames();
  void CheckEntry(kist_iter* iter, const std::string& key, const std::string& value);
  void Scan(kist_iter* iter, const ModelState& seen);
  void OpenFeed();
  void CheckFeed(uint64_t most);
  void CheckGap();
  [[noreturn]] void Differs(const std::string& what, const std::string& key);

  uint64_t Below(uint64_t n) { return rng_.Below(n); }
  Space& AnySpace() { return spaces_[Below(spaces_.size())]; }
  std::string Key();
  std::string Value();
  int64_t Ttl();
  std::string DefaultTtl(int64_t* ms);

  Rng rng_;
  const std::string options_;
  const bool retains_;
  const bool timestamps_;
  std::unique_ptr<Vfs> memory_;
  StillClockVfs vfs_;
  kist_db* db_ = nullptr;
  int64_t now_ms_;  // the database's time
  CommitModel model_;
  std::vector<Space> spaces_;  // the default one first
  std::vector<Held> held_;
  std::vector<HeldIterator> iterators_;
  kist_feed* feed_ = nullptr;
  uint64_t fed_seq_ = 0;    // the consumer's saved sequence
  size_t fed_ = 0;          // commits of the journal that it has
  int64_t opened_ttl_ = 0;  // the default TTL that Open asked for
};

}  // namespace kist::test
