// Repairer: one repair under way; see repair.h. The steps over tables and the manifest stand in
// repair.cc, those over the log in repair_log.cc.
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

  Status Look();
  Result<bool> ListFiles();
  Status FindDatabaseId();
  Status FindManifest();
  Status ReadManifestFile(uint64_t number);
  Status CleanTables();
  Status CleanTable(uint64_t number, uint32_t keyspace, bool known);
  Status SalvageTable(uint64_t number, std::unique_ptr<File> file, uint32_t keyspace);
  Status CleanLogs();
  Status FindLogs(std::map<uint64_t, uint64_t>* limits);
  Status CleanLog(uint64_t number, uint64_t limit);
  Status Replay(const std::string& name, const SegmentReader::Record& record);
  void ReplayCreation(const Op& op);
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
  void LoseName(uint32_t id, const std::string& what);
  void UseKeyspace(uint32_t id) { state_.next_keyspace = std::max(state_.next_keyspace, id + 1); }

  const std::string path_;
  Vfs* const vfs_;
  const JobControl& job_;
  std::string* const report_;
  std::unique_ptr<FileLock> lock_;
  Epoch epoch_;
  std::unique_ptr<TableStore> store_;
  std::vector<uint64_t> tables_, logs_, manifests_;  // numbers, ascending
  std::vector<std::string> old_files_;
  uint64_t next_file_ = 1;
  uint64_t database_id_ = 0;
  bool has_manifest_ = false;  // some of its edits, or all:
  bool whole_manifest_ = false;
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
