// Repairer: one repair under way; see repair.h. What is there, whose it is and what the lists say
// is found in repair_look.cc; tables, the merge and the switch stand in repair.cc, the log in
// repair_log.cc.
//
// Invariants
//  1. Only damage is salvaged around. What may pass (I/O, memory, space) or is of a newer format
//     ends the repair with the original as it was: it must never count as lost.
//  2. made_ names the tables of this repair that are to go at its end, however it ends.
// Threads: one a repair.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "batch/packed_batch.h"
#include "compaction/job.h"
#include "db/db.h"
#include "key/file_name.h"
#include "memtable/memtable.h"
#include "record/segment.h"
#include "version/live_table.h"
#include "version/manifest.h"

namespace kist {

// The id of a repair's outcome: random, and yet known as such where the original's is known, so
// that the tables of a repair that was killed are not taken for another database's.
uint64_t OutcomeId(uint32_t random, uint64_t original);
inline bool IsOutcome(uint64_t id, uint64_t original) {
  return id == OutcomeId(static_cast<uint32_t>(id >> 32), original);
}

class Repairer {
 public:
  Repairer(const std::string& path, Vfs* vfs, const JobControl& job, std::string* report)
      : path_(path), vfs_(vfs), job_(job), report_(report) {}
  ~Repairer();
  Repairer(const Repairer&) = delete;
  Repairer& operator=(const Repairer&) = delete;
  Status Run();

 private:
  using Inputs = std::vector<RefPtr<LiveTable>>;
  // A table or a segment of the log, by what it says of itself; by its name where it cannot be read
  // or is another database's.
  struct FoundFile {
    uint64_t file = 0;         // the number in its name
    uint64_t number = 0;       // its own
    uint64_t database_id = 0;  // 0: it cannot be read
  };
  struct LogPart {
    uint64_t number = 0;
    uint64_t file = 0;
    uint64_t limit = UINT64_MAX;  // where its records cease to count
  };
  // What the edits of a manifest say that can be read.
  struct Lists {
    uint64_t manifest = 0;
    ManifestState state;
    std::set<uint64_t> named;  // tables, by any edit
    std::set<uint32_t> dropped;
    size_t lacks = 0;  // files that it lists and that are not there
  };

  Status Look();
  Result<bool> ListFiles();
  Status Identify();
  Status ReadIdentity(const std::string& name, FoundFile* found);
  void TakeNumbers(std::vector<FoundFile>* files);
  bool IsForeign(uint64_t id) const;
  uint64_t MostFilesId() const;
  size_t Lacks(const ManifestState& state) const;
  Status FindManifest();
  Status ChooseManifest();
  Result<bool> ReadManifestFile(uint64_t number, Lists* lists);
  Status CleanTables();
  Result<bool> CleanTable(const FoundFile& found, uint32_t keyspace);
  Status SalvageTable(const FoundFile& found, std::unique_ptr<File> file, uint32_t keyspace);
  Status CleanLogs();
  Status FindLogs(std::vector<LogPart>* parts);
  Status CleanLog(const LogPart& part);
  Status Replay(const std::string& name, const SegmentReader::Record& record);
  Status FlushLog();
  Status Merge(uint32_t keyspace, const Inputs& inputs, int level, uint64_t database_id,
               std::vector<NewTable>* out);
  Status MergeAndSwitch();
  Status Switch(ManifestState* state);
  Result<uint64_t> CurrentInode();
  void RemoveOld() noexcept;
  JobContext Context(uint64_t database_id);
  Status Progress(uint64_t bytes);
  uint64_t NewNumber() {
    made_.push_back(next_file_);
    return next_file_++;
  }
  static bool IsDamage(const Status& s) { return s.Is(Code::kCorrupt) || s.Is(Code::kMissing); }
  void Loss(const std::string& file, const std::string& what) {
    ++losses_;
    report_->append(file).append(": ").append(what).append("\n");
  }
  std::string Name(const std::string& name) const { return JoinPath(path_, name); }
  void SettleNames();
  void UseKeyspace(uint32_t id) { state_.next_keyspace = std::max(state_.next_keyspace, id + 1); }

  const std::string path_;
  Vfs* const vfs_;
  const JobControl& job_;
  std::string* const report_;
  std::unique_ptr<FileLock> lock_;
  Epoch epoch_;
  std::unique_ptr<TableStore> store_;
  std::vector<FoundFile> tables_, logs_;  // by number, then those whose name says it first
  std::vector<uint64_t> manifests_;       // ascending
  std::vector<std::string> old_files_, no_files_;
  std::map<uint64_t, size_t> ids_;  // of databases, with how many logs and tables are theirs
  std::set<uint64_t> log_ids_;
  size_t unreadable_ = 0;  // logs and tables that do not say whose they are
  uint64_t list_id_ = 0;   // by CURRENT or a manifest
  uint64_t next_file_ = 1;
  uint64_t database_id_ = 0;
  bool whole_manifest_ = false;  // and all that it lists is there; else some of its edits, or none
  ManifestState state_;
  std::set<uint64_t> named_;           // tables, by the edits of a manifest that is not whole
  std::set<uint32_t> dropped_;         // keyspaces, whose ids are never used again
  std::map<uint32_t, Inputs> inputs_;  // sound tables, by keyspace, oldest first
  std::vector<uint64_t> made_;         // tables of this repair, removed unless it ends well
  RefPtr<Memtable> memtable_;
  Sequence max_lsn_ = 0;
  uint64_t losses_ = 0, entries_ = 0, sound_tables_ = 0, commits_ = 0;
  uint64_t done_ = 0, total_ = 0;
};

}  // namespace kist
