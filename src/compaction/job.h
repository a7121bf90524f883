// The two jobs that write tables: a flush (one keyspace of a memtable to one L0 table) and a
// compaction (a plan's inputs to tables of its output level). Both only read what exists and write
// new files; the database puts the outcome into the manifest.
//
// Invariants
//  1. On an error every file the job created has been removed (or is left for the next open to
//  remove), and nothing else was touched.
//  2. All versions of a user key go to one output file, and range tombstones are cut at the files'
//  bounds, so that the files of
//     a level span disjoint ranges.
//  3. Entries in = entries out + dropped by reason; a mismatch is kInternal. Inputs' counts are
//  compared with their properties.
//  4. An input iterator's end counts as an end only where its status is ok.
// Threads: a job belongs to one thread. `stop` may be set by any.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "compaction/drop_rule.h"
#include "compaction/picker.h"
#include "memtable/memtable.h"
#include "version/edit.h"

namespace kist {

struct JobContext {
  Vfs* vfs = nullptr;
  TableStore* store = nullptr;
  TableOptions table;  // table_id is filled per output
  uint64_t target_file_bytes = uint64_t{32} << 20;
  std::function<uint64_t()>
      new_number;  // a file number never used before, kept safe from clean-up until the job's end
  const std::atomic<bool>* stop = nullptr;         // kCancelled soon after it turns true
  std::function<Status(uint64_t bytes)> progress;  // may be empty; bytes read since the last call
  std::function<void(const Status&)>
      sync_failed;  // may be empty; called once where a table could not be synced
  size_t readahead_bytes = size_t{1} << 20;  // of each input at once
};

struct JobResult {
  std::vector<NewTable> tables;
  DropCounts dropped;
  uint64_t entries_in = 0;
  uint64_t entries_out = 0;
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;
};

// An empty result (all was dropped, or the keyspace has nothing) is fine. Directory entries are not
// synced: the caller does it once.
// memtables: newest first.
Status RunFlush(const JobContext& context, const std::vector<const Memtable*>& memtables,
                uint32_t keyspace, const Visibility& visibility, JobResult* result);

// Where plan.trivial_move is set the caller moves the files itself. `version`: what the plan was
// made from.
Status RunCompaction(const JobContext& context, const CompactionPlan& plan,
                     const KeyspaceVersion& version, const Visibility& visibility,
                     JobResult* result);

}  // namespace kist
