// FaultRun: one database on a file system that fails, the ledger of what its commits were told, and
// the judge of what it shows then and holds after reopening. One thread writes.
//
// Fates of a commit: acknowledged; refused, which is a promise of absence for ever; in doubt, which
// is told by KIST_E_IO on a database that is poisoned from then on. At any time the open database
// shows exactly the acknowledged commits. Reopened, it is at the state after some prefix of the
// acknowledged and doubtful ones, in their order, that holds everything promised.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "key/file_name.h"
#include "support/crash_harness.h"
#include "support/fault_vfs.h"

namespace kist::test {

constexpr char kFaultDir[] = "/db";

// Writes down the changing calls that pass through it, so that a test can say what must not happen.
class WatchVfs : public WrapVfs {
 public:
  struct Call {
    char what;  // w write, s sync, t truncate, p preallocate, c create, r rename, d remove, D
                // SyncDir
    std::string path;
    bool ok;
  };
  explicit WatchVfs(Vfs* base) : WrapVfs(base) {}
  void Note(char what, const std::string& path, const Status& s) {
    MutexLock lock(&mutex_);
    calls_.push_back({what, path, s.ok()});
  }
  std::vector<Call> calls() {
    MutexLock lock(&mutex_);
    return calls_;
  }

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Status Rename(const std::string& from, const std::string& to) override {
    Status s = base_->Rename(from, to);
    Note('r', to, s);
    return s;
  }
  Status Remove(const std::string& path) override {
    Status s = base_->Remove(path);
    Note('d', path, s);
    return s;
  }
  Status SyncDir(const std::string& dir) override {
    Status s = base_->SyncDir(dir);
    Note('D', dir, s);
    return s;
  }

 private:
  Mutex mutex_;
  std::vector<Call> calls_ KIST_GUARDED_BY(mutex_);
};

class FaultRun {
 public:
  // base: empty, or with a database that `before` describes.
  FaultRun(Vfs* base, const std::string& options, std::string what);
  ~FaultRun();

  FaultVfs* faults() { return &faults_; }
  WatchVfs* watch() { return &watch_; }
  Db* db() { return db_.get(); }
  const std::string& what() const { return what_; }  // for messages
  [[noreturn]] void Wrong(const std::string& message);

  Status Open();
  Status Close();  // the handle is gone after it, whatever it returns
  Status Put(const std::string& ks, const std::string& key, const std::string& value, Durability d);
  Status Delete(const std::string& ks, const std::string& key, Durability d);
  Status DeleteRange(const std::string& ks, const std::string& begin, const std::string& end,
                     Durability d);
  Status Batch(const std::vector<Change>& changes, Durability d);
  Status Transaction(const std::vector<Change>& changes, Durability d);
  Status CreateKeyspace(const std::string& name);
  // An edit of the manifest; tables and values to come get `options`.
  Status ChangeKeyspace(const std::string& name, const char* options);
  Status DropKeyspace(const std::string& name);
  bool Has(const std::string& keyspace);
  Status Flush();
  Status Compact();
  Status Sync();
  bool poisoned() { return db_ != nullptr && db_->Stat("poisoned").value_or(0) != 0; }

  // The open database shows the acknowledged commits and nothing else.
  void CheckVisible();
  // A poisoned handle refuses all that writes, and the file system hears nothing of it.
  void CheckPoisoned();
  // Everything that may be found after the process ended, and after the power went as well.
  std::set<std::string> Allowed(bool power_cut) const;
  // Opens what is on `vfs` without faults: an allowed state, whole, and commit numbers go on.
  void CheckReopened(Vfs* vfs, bool power_cut);
  // CheckReopened of crash states of the trace's end; of no more than `most`.
  void CheckPowerCuts(RecordingVfs* recording, uint64_t most);

 private:
  enum class Fate { kAcknowledged, kInDoubt };
  struct Commit {
    std::vector<Change> changes;
    Fate fate;
  };
  Status Told(Status s, const std::vector<Change>& changes, Durability d, bool was_poisoned);
  Keyspace* Ks(const std::string& name);
  std::string Visible() const;

  const std::string what_;
  OptionSet set_;
  FaultVfs faults_;
  WatchVfs watch_;
  std::unique_ptr<Db> db_;
  std::map<std::string, RefPtr<Keyspace>> keyspaces_;
  std::vector<Commit> commits_;
  size_t killed_floor_ = 0;  // commits_ up to here survive a kill
  size_t power_floor_ = 0;   // ... a power cut
  Sequence newest_ = 0;      // commit number that was given out or may have been
};

// Calls run(n) for n = 1, 2, ... until it says twice in a row that its fault was never reached.
// Returns how many were.
template <typename Run>
uint64_t FailEach(Run run) {
  uint64_t hit = 0;
  for (uint64_t n = 1, idle = 0; idle < 2; ++n) {
    if (run(n)) {
      ++hit;
      idle = 0;
    } else {
      ++idle;
    }
  }
  return hit;
}

// The step once more where it finds no space: what is kept back for a full disk may be lent to
// background work, on a slow machine for long.
template <typename Step>
Status Patiently(Step step) {
  Status s = step();
  for (int i = 0; s.Is(Code::kNoSpace) && i < 300; ++i) {
    PosixVfs()->SleepUs(10000);
    s = step();
  }
  return s;
}

// A step that hangs ends the test with the name of its run.
void WatchDog(const std::string& what);

}  // namespace kist::test
